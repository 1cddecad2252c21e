/** Which lifecycle rules destroy backups, or uploads before they are complete. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  judgeLifecycle,
  type LifecycleNeeds,
  type LifecycleRule,
} from '../../../lib/core/plan/lifecycle-verdict.ts';
import { GIB, MIB } from '../../../lib/core/units.ts';

const rule = (changes: Partial<LifecycleRule> = {}): LifecycleRule => ({
  id: 'r',
  prefix: '',
  isPartial: false,
  endsUploadsAfterDays: undefined,
  expires: false,
  expiresVersions: false,
  movesTo: [],
  ...changes,
});
const ends = rule({ id: 'ends', endsUploadsAfterDays: 7 });

function judge(rules: readonly LifecycleRule[], needs: Partial<LifecycleNeeds> = {}) {
  const usual = { prefix: 'fleet/a', uploadBytes: 200 * GIB, rate: undefined, versions: 'off' } as const;
  return judgeLifecycle(rules, { ...usual, ...needs }).map(
    ({ level, problem, cure }) => `${level}: ${problem} | ${cure}`,
  );
}

test('a rule that ends uploads is missed where none covers the prefix', () => {
  assert.deepEqual(judge([ends]), []);
  assert.deepEqual(judge([{ ...ends, prefix: 'fleet/' }]), []);
  for (const rules of [
    [],
    [{ ...ends, prefix: 'fleet/b/' }],
    [{ ...ends, prefix: 'fleet/a/subvol/data/' }],
  ]) {
    const [line, ...more] = judge(rules);
    assert.match(
      line ?? '',
      /^doubtful: no rule ends incomplete uploads.*\| add \{"ID":"end-incomplete-uploads".*"Prefix":"fleet\/a\/"/,
    );
    assert.deepEqual(more, []);
  }
});

test('a rule is too short for a chunk at the last rate; the longer one that is named is not, nor is the smaller chunk', () => {
  const day = { ...ends, endsUploadsAfterDays: 1 };
  const rate = MIB;
  const [line, ...more] = judge([day], { rate });
  assert.deepEqual(more, []);
  assert.equal(
    line,
    'broken: rule "ends" ends uploads after a day, but a chunk of 200 GiB takes 2d 08h at the last rate, 1.00 MiB/s: it is lost before it is complete | set its DaysAfterInitiation to 7 or more, or CHUNK_SIZE=42GiB',
  );
  assert.deepEqual(judge([{ ...ends, endsUploadsAfterDays: 7 }], { rate }), []);
  assert.deepEqual(judge([day], { rate, uploadBytes: 42 * GIB }), []);
  assert.match(judge([ends], { rate: MIB / 10 })[0] ?? '', /DaysAfterInitiation to 25 or more/);
  assert.deepEqual(judge([{ ...ends, endsUploadsAfterDays: 25 }], { rate: MIB / 10 }), []);
});

test('where no rate is known, a short rule says which rate it needs', () => {
  assert.match(
    judge([{ ...ends, endsUploadsAfterDays: 1 }])[0] ?? '',
    /^doubtful: rule "ends" ends uploads after a day: below 2\.37 MiB\/s a chunk of 200 GiB/,
  );
});

test('rules that delete or archive what is below the prefix are named, those of others are not', () => {
  assert.match(
    judge([ends, rule({ expires: true })])[0] ?? '',
    /^broken: rule "r" deletes objects below fleet\/a\//,
  );
  assert.match(judge([ends, rule({ expires: true, prefix: 'fleet/a/subvol/' })])[0] ?? '', /^broken: /);
  assert.match(judge([ends, rule({ expires: true, isPartial: true })])[0] ?? '', /^doubtful: /);
  assert.match(
    judge([ends, rule({ movesTo: ['DEEP_ARCHIVE'] })])[0] ?? '',
    /^broken: .* to DEEP_ARCHIVE, manifests among them.*STORAGE_CLASS_CHUNKS=DEEP_ARCHIVE/,
  );
  assert.deepEqual(
    judge([ends, rule({ movesTo: ['GLACIER_IR'] }), rule({ expires: true, prefix: 'fleet/b' })]),
    [],
  );
});

test('versions that nothing ends are charged for', () => {
  assert.match(
    judge([ends], { versions: 'enabled' })[0] ?? '',
    /^doubtful: the bucket keeps what prune deletes as versions/,
  );
  assert.deepEqual(judge([ends, rule({ expiresVersions: true })], { versions: 'enabled' }), []);
});
