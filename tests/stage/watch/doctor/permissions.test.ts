/** Permissions, tried one by one: a role's policy is enough for it, and whatever is missing is named. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ListMultipartUploadsCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import type { DrillRecord } from '../../../../lib/core/format/drill-record.ts';
import { drillKey } from '../../../../lib/core/format/names.ts';
import type { Role } from '../../../../lib/stage/watch/doctor/patient.ts';
import { openTestBucket, startTestBucket } from '../../../support/bucket.ts';
import { examineBucketWith, linesOf } from '../../../support/doctor.ts';
import { publish, put } from '../../../support/fake-backups.ts';
import { permissionsOf } from '../../../support/iam-policy.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

const prefix = 'fleet/host-1';
const directory = temporaryDirectory('doctor-permissions');
const { bucket, server } = await startTestBucket(directory, { S3_PREFIX: prefix });
await publish(bucket, { day: 1 });
await put(bucket, `${prefix}/RESTORE.txt`, 'text');
const drill: DrillRecord = {
  version: 1,
  subvolume: 'data',
  manifest_key: `${prefix}/subvol/data/full/manifest-20260101T020000Z.json`,
  created_at: '20260101T020000Z',
  backups: 1,
  bytes: 2000,
  result: 'sound',
  proofs: ['every part matched'],
  problem: null,
  host: 'host-1',
  tool: { name: 'btrfs-to-s3', version: '0.1.0' },
  started_at: '2026-01-02T02:00:00.000Z',
  finished_at: '2026-01-02T03:00:00.000Z',
};
await put(bucket, drillKey(prefix, 'data', '20260102T020000Z'), JSON.stringify(drill));

async function examineAll(role: Role) {
  const open = () => openTestBucket(server.endpoint, { S3_PREFIX: prefix });
  return examineBucketWith(open, { S3_BUCKET: bucket.name, RUN_DIR: directory }, { role });
}

async function examine(role: Role) {
  return linesOf(await examineAll(role), 'bucket', 'permissions', 'the rest');
}

async function contents() {
  const place = { Bucket: bucket.name };
  const { Contents = [] } = await bucket.client.send(new ListObjectsV2Command(place));
  const { Uploads = [] } = await bucket.client.send(new ListMultipartUploadsCommand(place));
  return { keys: Contents.map(({ Key, ETag }) => `${Key} ${ETag}`), uploads: Uploads.length };
}

/** What each role needs; each of them is missing once. */
const needed: Readonly<Record<Role, readonly string[]>> = {
  backup: [
    's3:ListBucket',
    's3:ListBucketMultipartUploads',
    's3:GetObject',
    's3:PutObject',
    's3:ListMultipartUploadParts',
    's3:AbortMultipartUpload',
  ],
  restore: ['s3:ListBucket', 's3:GetObject', 's3:RestoreObject'],
  drill: ['s3:ListBucket', 's3:GetObject', 's3:RestoreObject', 's3:PutObject'],
  verify: ['s3:ListBucket', 's3:GetObject'],
  prune: [
    's3:ListBucket',
    's3:ListBucketMultipartUploads',
    's3:GetObject',
    's3:DeleteObject',
    's3:AbortMultipartUpload',
  ],
};

for (const role of Object.keys(needed) as Role[]) {
  test(`the policy of ${role} is enough for it, each permission is tried, and nothing is left`, async () => {
    server.permissions.clear();
    const before = await contents();
    server.permissions.set(permissionsOf(role, bucket.name, prefix));
    const found = await examineAll(role);
    assert.deepEqual(linesOf(found), [], 'nothing is broken');
    assert.match(
      linesOf(found, 'last drill').join(),
      role === 'prune' ? /^skipped last drill: make prune needs no/ : /: the last drill of data, .*sound/,
    );
    const [reached, permissions, ...more] = linesOf(found, 'bucket', 'permissions', 'the rest');
    assert.match(reached ?? '', /^fine bucket: /);
    for (const action of needed[role])
      assert.ok(permissions?.includes(action), `${permissions} has ${action}`);
    assert.match(permissions ?? '', new RegExp(`^fine permissions: may do what make ${role} needs`));
    assert.deepEqual(more, []);
    server.permissions.clear();
    assert.deepEqual(await contents(), before);
  });

  for (const action of needed[role]) {
    test(`${role} without ${action}: it is named, with the policy that has it`, async () => {
      const { allowed = [] } = permissionsOf(role, bucket.name, prefix);
      server.permissions.set({ allowed, denied: [action] });
      const lines = await examine(role);
      const broken = lines.filter((line) => line.startsWith('broken'));
      assert.ok(broken.length > 0, lines.join('\n'));
      for (const line of broken) {
        if (line.startsWith('broken bucket')) continue;
        assert.match(
          line,
          new RegExp(`^broken permissions: ${action} is denied on ${bucket.name}.*not authorized`),
        );
        assert.match(
          line,
          new RegExp(
            `\\| allow it, as config/iam/${role}\\.json does, with BUCKET=${bucket.name} and PREFIX=${prefix} `,
          ),
        );
      }
      server.permissions.set(permissionsOf(role, bucket.name, prefix));
      assert.deepEqual(
        (await examine(role)).filter((line) => line.startsWith('broken')),
        [],
      );
      server.permissions.clear();
      // What could not be ended is the next trial's.
      assert.equal((await contents()).uploads, 0);
    });
  }
}

test('on AWS the pointer that is there is tried, with its own text, and stays as it is', async () => {
  server.permissions.set(permissionsOf('backup', bucket.name, prefix));
  server.requests.length = 0;
  const open = async () => ({
    ...(await openTestBucket(server.endpoint, { S3_PREFIX: prefix })),
    isAws: true,
  });
  const found = await examineBucketWith(open, { S3_BUCKET: bucket.name, RUN_DIR: directory });
  assert.match(linesOf(found, 'permissions').join(), /^fine permissions/);
  server.permissions.clear();
  const writes = server.requests.filter(
    ({ operation, key }) => operation === 'PutObject' && key?.endsWith('current.json'),
  );
  assert.deepEqual(
    writes.map(({ key, status }) => [key, status]),
    [[`${prefix}/subvol/data/current.json`, 412]],
  );
});
