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

const level = (changes: Partial<LifecycleRule>) =>
  judge([ends, rule(changes)])[0]?.replace(/:.*/, '') ?? 'fine';

for (const [prefix, expiring, archiving] of [
  // Parts of ours, and what they are parts of.
  ['', 'broken', 'broken'],
  ['fl', 'broken', 'broken'],
  ['fleet/', 'broken', 'broken'],
  ['fleet/a', 'broken', 'broken'],
  ['fleet/a/', 'broken', 'broken'],
  ['fleet/a/sub', 'broken', 'broken'],
  ['fleet/a/subvol/', 'broken', 'broken'],
  ['fleet/a/subvol/da', 'broken', 'broken'],
  ['fleet/a/subvol/data/', 'broken', 'broken'],
  ['fleet/a/subvol/data/c', 'broken', 'broken'],
  ['fleet/a/subvol/data/current.json', 'broken', 'broken'],
  ['fleet/a/subvol/data/f', 'broken', 'broken'],
  ['fleet/a/subvol/data/incremental', 'broken', 'broken'],
  ['fleet/a/subvol/data/full/', 'broken', 'broken'],
  ['fleet/a/subvol/data/full/m', 'broken', 'broken'],
  ['fleet/a/subvol/data/full/manifest-2026', 'broken', 'broken'],
  ['fleet/a/subvol/data/full/manifest-20260101T020000Z.json.sig', 'broken', 'broken'],
  // Chunks alone may be archived, but not deleted.
  ['fleet/a/subvol/data/full/c', 'broken', 'fine'],
  ['fleet/a/subvol/data/full/chunk-', 'broken', 'fine'],
  ['fleet/a/subvol/data/incremental/chunk-2026', 'broken', 'fine'],
  ['fleet/a/subvol/data/full/index-', 'broken', 'fine'],
  // What says how to recover is written again where it is missing.
  ['fleet/a/R', 'fine', 'broken'],
  ['fleet/a/recover.sh', 'fine', 'broken'],
  ['fleet/a/drill/', 'fine', 'doubtful'],
  ['fleet/a/drill/data/2026', 'fine', 'doubtful'],
  // Nothing of ours.
  ['fleet/a/notes/', 'fine', 'fine'],
  ['fleet/a/subvolumes/', 'fine', 'fine'],
  ['fleet/ab/', 'fine', 'fine'],
  ['fleet/b/subvol/', 'fine', 'fine'],
  ['a/', 'fine', 'fine'],
] as const) {
  test(`a rule for "${prefix}" that deletes is ${expiring}, and one that archives ${archiving}`, () => {
    assert.equal(level({ prefix, expires: true }), expiring);
    for (const archive of ['GLACIER', 'DEEP_ARCHIVE'])
      assert.equal(level({ prefix, movesTo: ['STANDARD_IA', archive] }), archiving);
    // Tags and sizes may leave out what matters, which is not known.
    const softened = (verdict: string) => (verdict === 'broken' ? 'doubtful' : verdict);
    assert.equal(level({ prefix, expires: true, isPartial: true }), softened(expiring));
    assert.equal(level({ prefix, movesTo: ['GLACIER'], isPartial: true }), softened(archiving));
    // What is read at once, and versions that were replaced.
    assert.equal(level({ prefix, movesTo: ['GLACIER_IR'], expiresVersions: true }), 'fine');
  });
}

test('in a whole bucket any rule may be about the objects of some host', () => {
  for (const changes of [{ expires: true }, { movesTo: ['DEEP_ARCHIVE'] }]) {
    const [line] = judge([ends, rule({ prefix: 'b/subvol/data/full/chunk-', ...changes })], { prefix: '' });
    assert.match(line ?? '', /^broken: /);
  }
});

test('a short rule for uploads is judged where chunks are uploaded', () => {
  const short = (prefix: string) => judge([ends, { ...ends, prefix, endsUploadsAfterDays: 1 }]).length;
  assert.deepEqual(
    [
      'fleet/a/subvol/data/full/chunk-',
      'fleet/a/subvol/',
      '',
      'fleet/a/drill/',
      'fleet/a/subvol/data/full/manifest-',
    ].map(short),
    [1, 1, 1, 0, 0],
  );
});

test('versions that nothing ends are charged for', () => {
  assert.match(
    judge([ends], { versions: 'enabled' })[0] ?? '',
    /^doubtful: the bucket keeps what prune deletes as versions/,
  );
  assert.deepEqual(judge([ends, rule({ expiresVersions: true })], { versions: 'enabled' }), []);
});
