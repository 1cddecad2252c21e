/** A bucket that others change while it is looked at: a backup is published, or a prune deletes some. Neither is damage. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Bucket } from '../../../lib/edge/s3/s3-client.ts';
import { listBackups } from '../../../lib/stage/bucket/list.ts';
import { planPrunes, problemsOf } from '../../../lib/stage/bucket/prune.ts';
import { verifyBackups } from '../../../lib/stage/bucket/verify.ts';
import type { StageContext } from '../../../lib/stage/context.ts';
import { lookAtBucket } from '../../../lib/stage/watch/health/look-at-bucket.ts';
import { publish, publishGeneration, put } from '../../support/fake-backups.ts';
import { startPruning } from '../../support/pruning.ts';
import { stageContext } from '../../support/stage-context.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const { place } = await startPruning(temporaryDirectory('meanwhile'));

/** A context in which something happens, once, before the first request of a kind. */
function contextWith(bucket: Bucket, command: string, meanwhile: () => Promise<unknown>) {
  const { context, warnings } = stageContext(bucket);
  const send = bucket.client.send.bind(bucket.client) as (request: object, rest: unknown) => Promise<unknown>;
  let happening: Promise<unknown> | undefined;
  const client: Bucket['client'] = Object.create(bucket.client, {
    send: {
      value: async (request: object, rest: unknown) => {
        if (request.constructor.name === command) {
          happening ??= meanwhile();
          await happening;
        }
        return send(request, rest);
      },
    },
  });
  return { context: { ...context, bucket: { ...bucket, client } } satisfies StageContext, warnings };
}

/** A chain, and the context in which another backup of it is published once the keys are listed. */
async function publishingMeanwhile(prefix: string) {
  const { bucket } = await place(prefix);
  const chain = await publishGeneration(bucket, { day: 1, backups: 2 });
  const parent = chain.at(-1);
  assert.ok(parent);
  return contextWith(bucket, 'GetObjectCommand', () => publish(bucket, { day: 3, parent }));
}

test('verify takes in a backup that is published meanwhile', async () => {
  const { context } = await publishingMeanwhile('verify');
  const { findings, manifests } = await verifyBackups(context, undefined, false);
  assert.deepEqual(findings, []);
  assert.equal(manifests, 3);
});

test('so do list, status and metrics', async () => {
  const newest = (await listBackups((await publishingMeanwhile('list')).context)).find(
    ({ current }) => current,
  );
  assert.equal(newest?.created_at, '20260103T020000Z');
  const health = (await lookAtBucket((await publishingMeanwhile('status')).context)).get('data');
  assert.deepEqual(
    [health?.why_not, health?.newest?.created_at, health?.chain?.backups],
    [null, '20260103T020000Z', 3],
  );
});

test('a prune that is planned meanwhile knows what is needed', async () => {
  const { context } = await publishingMeanwhile('plan');
  const survey = await planPrunes(context);
  assert.equal(problemsOf(survey, undefined), undefined);
  assert.deepEqual(
    survey.plans.map(({ generations }) => generations.map(({ backups }) => backups)),
    [[3]],
  );
});

for (const command of ['GetObjectCommand', 'HeadObjectCommand']) {
  test(`verify passes over what a prune deletes meanwhile, from its first ${command} on`, async () => {
    const { bucket, prune } = await place(`pruned-${command}`);
    await publishGeneration(bucket, { day: 1, backups: 3 });
    await publishGeneration(bucket, { day: 5, backups: 2 });
    const { context, warnings } = contextWith(bucket, command, () => prune(true, 0, 1));
    const { findings, manifests, chunks } = await verifyBackups(context, undefined, false);
    assert.deepEqual(findings, []);
    assert.deepEqual([manifests, chunks], [2, 4]);
    assert.match(warnings.join('\n'), /^3 backups, such as .+, were deleted meanwhile/);
  });
}

test('what is damaged stays a finding beside what a prune deletes', async () => {
  const { bucket, prune } = await place('damaged');
  await publishGeneration(bucket, { day: 1, backups: 2 });
  const [full] = await publishGeneration(bucket, { day: 5, backups: 2 });
  const [chunk] = full?.manifest.chunks ?? [];
  assert.ok(chunk);
  const { context } = contextWith(bucket, 'HeadObjectCommand', async () => {
    await prune(true, 0, 1);
    await put(bucket, chunk.key, 'shorter');
  });
  const { findings } = await verifyBackups(context, undefined, false);
  assert.deepEqual(
    findings.map(({ object }) => object),
    [chunk.key, 'damaged/subvol/data/incremental/manifest-20260106T020000Z.json'],
  );
});

for (const [how, answer] of [
  [
    'fails',
    () => {
      throw Object.assign(new Error('no'), { name: 'AccessDenied', $metadata: { httpStatusCode: 403 } });
    },
  ],
  ['shows what is there late', () => ({ Contents: [], $metadata: {} })],
] as const) {
  test(`what verify has found stays found where its last listing ${how}`, async () => {
    const { bucket } = await place(`last-listing-${how.length}`);
    const [full] = await publishGeneration(bucket, { day: 1, backups: 1 });
    const [chunk] = full?.manifest.chunks ?? [];
    assert.ok(chunk);
    await put(bucket, chunk.key, 'shorter');
    const { context, warnings } = stageContext(bucket);
    const send = bucket.client.send.bind(bucket.client) as (
      request: object,
      rest: unknown,
    ) => Promise<unknown>;
    let hasLooked = false;
    const client: Bucket['client'] = Object.create(bucket.client, {
      send: {
        value: async (request: object, rest: unknown) => {
          const { name } = request.constructor;
          hasLooked ||= name === 'HeadObjectCommand';
          return hasLooked && name === 'ListObjectsV2Command' ? answer() : send(request, rest);
        },
      },
    });
    const { findings } = await verifyBackups({ ...context, bucket: { ...bucket, client } }, undefined, false);
    assert.deepEqual(
      findings.map(({ object }) => object),
      [chunk.key],
    );
    assert.equal(
      /whether backups were deleted meanwhile is not known/.test(warnings.join()),
      how === 'fails',
    );
  });
}
