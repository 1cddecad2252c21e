/** What is said where a selection matches nothing: what there is instead, in this prefix and in others. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeError, ToolError } from '../../../lib/core/errors.ts';
import { hintAtPrefixes, resolveChain, type Selection } from '../../../lib/stage/bucket/backups.ts';
import { glimpsePrefixes } from '../../../lib/stage/bucket/hosts.ts';
import { startTestBucket } from '../../support/bucket.ts';
import { publish, publishGeneration, put } from '../../support/fake-backups.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const { bucket, server } = await startTestBucket(temporaryDirectory('nothing-found'));
const at = (prefix: string) => ({ ...bucket, prefix });

/** The line of a restore that finds nothing. */
async function lineOf(prefix: string, subvolume: string, selection: Selection = {}): Promise<string> {
  const error = await resolveChain(at(prefix), subvolume, selection).then(
    () => assert.fail('it found something'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ToolError && error.kind === 'usage', String(error));
  return describeError(error);
}

test('in a bucket without backups that is said', async () => {
  await put(bucket, 'photos/2026/one.jpg', 'none of ours');
  assert.equal(await hintAtPrefixes(bucket), undefined);
  assert.match(await lineOf('host', 'data'), /under host\/; there are no backups at all; check S3_BUCKET$/);
});

test('on a host of another name the prefixes that hold backups are named', async () => {
  await publishGeneration(at('fleet/old-laptop'), { day: 5, backups: 2 });
  await publish(at('nas'), { day: 6 });
  assert.deepEqual(await glimpsePrefixes(bucket), ['fleet/old-laptop', 'nas']);
  assert.equal(
    await lineOf('new-laptop', 'data'),
    `there is no backup of subvolume "data" in bucket ${bucket.name} under new-laptop/; there are backups under fleet/old-laptop, nas: set S3_PREFIX, such as S3_PREFIX=fleet/old-laptop; make list HOST_PREFIX=/ shows the backups of all hosts`,
  );
  for (let host = 0; host < 12; host++) await publish(at(`site-${host}`), { day: 6 });
  assert.match(await lineOf('new-laptop', 'data'), /site-3 and 6 more: set S3_PREFIX/);
  for (let folder = 0; folder < 40; folder++) await put(bucket, `a/${folder}/photo.jpg`, 'none of ours');
  assert.ok(
    (await glimpsePrefixes(bucket))?.includes('nas'),
    'a bucket of many folders is looked through in part',
  );
});

test('credentials that may list one prefix alone are no reason for silence', async () => {
  server.permissions.set({ denied: ['s3:ListBucket'] });
  try {
    assert.match(
      (await hintAtPrefixes(at('new-laptop'))) ?? '',
      /^set S3_PREFIX to that of the host that made them; make list HOST_PREFIX=\/ .* where these credentials may list them$/,
    );
  } finally {
    server.permissions.clear();
  }
});

test('a time before the first backup is reported with that of the first, and a wrong name with the right ones', async () => {
  assert.equal(
    await lineOf('fleet/old-laptop', 'data', { at: '2020-01-01' }),
    'no backup of subvolume "data" is as old as AT=2020-01-01; the oldest is AT=2026-01-05T02:00:00Z; make list shows all',
  );
  assert.match(
    await lineOf('fleet/old-laptop', 'dat', { at: '2020-01-01' }),
    /there are: data; check SUBVOLUME$/,
  );
  assert.match(await lineOf('fleet/old-laptop', 'dat'), /there are: data; check SUBVOLUME$/);
});

test('the manifest of another host is reported with its prefix', async () => {
  const { key } = await publish(at('nas'), { subvolume: 'media', day: 7 });
  assert.equal(
    await lineOf('new-laptop', 'media', { manifest: key }),
    `${key} is not a manifest of subvolume "media" under new-laptop/; set S3_PREFIX=nas`,
  );
  assert.match(
    await lineOf('nas', 'data', { manifest: key }),
    /not a manifest of .*; make list WIDE=1 shows the keys/,
  );
});
