/** A prune that is refused something does the rest, and tells. */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { serialiseDocument } from '../../../lib/core/format/manifest.ts';
import type { PrunePlan } from '../../../lib/core/plan/prune/prune-plan.ts';
import { RunDirectory } from '../../../lib/edge/files/run-directory.ts';
import { problemsOf } from '../../../lib/stage/bucket/prune.ts';
import { publish, publishGeneration, put } from '../../support/fake-backups.ts';
import { errorAnswer } from '../../support/faulty-proxy.ts';
import { permissionsOf } from '../../support/iam-policy.ts';
import { keysIn, startPruning } from '../../support/pruning.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('prune-refusals');
const { server, proxy, warnings, runDirectory, place } = await startPruning(directory);

test('keys that may not be deleted are named one by one, and the rest goes', async () => {
  const { bucket, prune } = await place('denied');
  const [old] = [await publishGeneration(bucket, { day: 1, backups: 3 })];
  const [full, second, third] = old;
  assert.ok(full && second && third, 'three backups');
  for (const at of [5, 9]) await publishGeneration(bucket, { day: at, backups: 1 });
  const chunk = third.manifest.chunks[0]?.key ?? '';
  server.permissions.set({ denied: [`s3:DeleteObject ${second.key}`, `s3:DeleteObject ${chunk}`] });
  const { outcomes, problem } = await prune(true);
  server.permissions.clear();
  assert.deepEqual(
    outcomes.get('data')?.refused.map(({ key }) => key),
    [second.key, full.key, chunk],
  );
  assert.equal(problem?.kind, 'failed');
  const lines = problem?.message.split('\n') ?? [];
  assert.match(lines[0] ?? '', /^cannot delete .*20260102.*: AccessDenied: .* not authorized/);
  assert.match(lines[1] ?? '', /^cannot delete .*20260101.*: .*20260102.* is still there and builds on it$/);
  const left = await keysIn(bucket);
  for (const { key, manifest } of [full, second]) {
    for (const each of [key, ...manifest.chunks.map((named) => named.key)])
      assert.ok(left.includes(each), each);
  }
  assert.deepEqual(
    left.filter((key) => key.includes('20260103')),
    [chunk],
  );
  assert.equal((await prune(true)).problem, undefined, 'allowed again, the next prune does the rest at once');
  assert.deepEqual(
    (await keysIn(bucket)).filter((key) => /2026010[123]/.test(key)),
    [],
  );
});

test('what may not be looked at stays in doubt: its backup is kept and named, and the rest is pruned', async () => {
  const { bucket, prune } = await place('copied');
  const [odd] = await publishGeneration(bucket, { day: 1, backups: 1 });
  assert.ok(odd, 'a backup');
  const [chunk, ...others] = odd.manifest.chunks;
  assert.ok(chunk, 'of two chunks');
  // As in a copy of the bucket whose objects were sent in other parts.
  const chunks = [{ ...chunk, etag: `${'0'.repeat(32)}-2` }, ...others];
  await put(bucket, odd.key, serialiseDocument({ ...odd.manifest, chunks }));
  for (const at of [5, 9, 13]) await publishGeneration(bucket, { day: at, backups: 1 });
  for (const at of [1, 5, 9]) await publishGeneration(bucket, { subvolume: 'home', day: at, backups: 1 });
  server.permissions.set(permissionsOf('prune', bucket.name, 'copied'));
  warnings.length = 0;
  const { outcomes, problem } = await prune(true);
  server.permissions.clear();
  assert.match(
    warnings.splice(0).join(),
    /^these credentials may not look at \S+-00000\.bin, whose ETag .*make verify/,
  );
  assert.equal(problem?.kind, 'damage');
  assert.match(
    problem?.message ?? '',
    /^\S+manifest-20260101T020000Z\.json is kept, .*: chunk \S+-00000\.bin was replaced: its ETag is [^\n]+$/,
  );
  assert.deepEqual(
    ['data', 'home'].map((name) => outcomes.get(name)?.manifests),
    [1, 1],
  );
  const left = await keysIn(bucket);
  for (const key of [odd.key, ...chunks.map((named) => named.key)]) assert.ok(left.includes(key), key);
  assert.ok(!left.some((key) => /data.*20260105/.test(key)), 'what is not in doubt goes');
});

test('without leave to list uploads the rest is done, and that is reported', async () => {
  const { bucket, prune } = await place('uploads');
  for (const at of [1, 5, 9]) await publishGeneration(bucket, { day: at, backups: 1 });
  server.permissions.set({ denied: ['s3:ListBucketMultipartUploads', 's3:GetBucketVersioning'] });
  const { survey, outcomes, problem } = await prune(true);
  server.permissions.clear();
  assert.equal(survey.versioning, 'unknown');
  assert.equal(outcomes.get('data')?.manifests, 1);
  assert.match(problem?.message ?? '', /^cannot list the unfinished uploads of .*access was denied/);
});

test('a server without a listing of uploads is pruned of all else', async () => {
  const { bucket, prune } = await place('no-uploads');
  await publish(bucket, { day: 1 });
  proxy.expect({
    matches: ({ url }) => /[?&]uploads/.test(url),
    before: () => errorAnswer(501, 'NotImplemented'),
  });
  const { survey, problem } = await prune(false);
  proxy.expect();
  assert.deepEqual([survey.plans.length, survey.uploadsProblem, problem], [1, undefined, undefined]);
  assert.deepEqual(warnings, ['the server cannot list unfinished uploads: they are ignored']);
});

test('a damaged record of an interrupted prune is reported of, and is no reason to stop', async () => {
  const { bucket, prune } = await place('record');
  await publish(bucket, { day: 1 });
  const run = new RunDirectory(runDirectory, 'data');
  await run.create();
  writeFileSync(join(run.path, 'pruning.json'), '{');
  warnings.length = 0;
  assert.equal((await prune(true)).problem, undefined);
  assert.match(warnings.join(), /^\S+pruning\.json cannot be understood: what an interrupted prune left/);
  assert.equal(await run.readPruning(), undefined);
  rmSync(run.path, { recursive: true });
});

const emptyPlan = (changes: Partial<PrunePlan> = {}): PrunePlan => ({
  subvolume: 'data',
  blocked: undefined,
  generations: [],
  broken: [],
  orphans: [],
  removals: [],
  ...changes,
});
const cold = emptyPlan({ broken: [{ key: 'k', problem: 'is archived', isArchived: true }] });
const refusal = { manifests: 0, objects: 0, bytes: 0, uploads: 0, refused: [{ key: 'k', problem: 'no' }] };

for (const [what, kind, plans, others] of [
  ['an archived manifest alone', 'thaw', [cold], {}],
  ['an archived pointer', 'thaw', [emptyPlan({ blocked: { where: 'archive', problem: 'p' } })], {}],
  ['uploads that cannot be listed beside it', 'failed', [cold], { uploadsProblem: 'denied' }],
  [
    'an unreadable run file beside it',
    'failed',
    [cold, emptyPlan({ blocked: { where: 'host', problem: 'p' } })],
    {},
  ],
  ['a key that may not be deleted beside it', 'failed', [cold], { outcomes: new Map([['data', refusal]]) }],
  [
    'damage beside all of that',
    'damage',
    [cold, emptyPlan({ blocked: { where: 'bucket', problem: 'p' } })],
    { uploadsProblem: 'denied' },
  ],
] as const) {
  test(`${what} makes of a prune a failure of the kind ${kind}`, () => {
    const { uploadsProblem, outcomes } = { uploadsProblem: undefined, outcomes: undefined, ...others };
    assert.equal(problemsOf({ versioning: 'off', plans, uploadsProblem }, outcomes)?.kind, kind);
  });
}
