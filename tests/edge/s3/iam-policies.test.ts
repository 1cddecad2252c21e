/** The policies of config/iam/, request by request: what each role may do to which keys, and that it may do nothing else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  RestoreObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { startTestBucket } from '../../support/bucket.ts';
import { put } from '../../support/fake-backups.ts';
import { permissionsOf, type Role, roles } from '../../support/iam-policy.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const prefix = 'fleet/host-1';
const { bucket, server } = await startTestBucket(temporaryDirectory('iam-policies'), { S3_PREFIX: prefix });
const { client, name: Bucket } = bucket;
const pointerKey = `${prefix}/subvol/data/current.json`;
const theirKey = 'fleet/host-2/subvol/data/full/manifest-20260101T020000Z.json';

function become(role: Role): void {
  server.permissions.set(permissionsOf(role, Bucket, prefix));
}

async function unrestricted<Result>(work: () => Promise<Result>): Promise<Result> {
  server.permissions.clear();
  return work();
}

/** Something to do, the roles that may do it, and how it is done. */
type Deed = readonly [name: string, may: readonly Role[], does: (client: S3Client) => Promise<unknown>];

test('a policy allows its role single requests, and no other', async () => {
  const folder = `${prefix}/subvol/data/full`;
  const chunk = `${folder}/chunk-20260101T020000Z-00000.bin`;
  const manifest = `${folder}/manifest-20260101T020000Z.json`;
  const recovery = `${prefix}/RESTORE.txt`;
  const script = `${prefix}/recover.sh`;
  const cold = `${folder}/chunk-20260102T020000Z-00000.bin`;
  const upload = { Bucket, Key: `${folder}/chunk-20260103T020000Z-00000.bin` };
  /** Of the body `x`, which all of them have. */
  const IfMatch = '9dd4e461268c8034f5c8564e155c67a6';
  let UploadId: string | undefined;
  let fresh = 0;
  /** Makes everything be there again. */
  const reset = async () => {
    for (const key of [chunk, manifest, pointerKey, recovery, script, theirKey]) await put(bucket, key, 'x');
    await put(bucket, cold, 'x', 'GLACIER');
    ({ UploadId } = await client.send(new CreateMultipartUploadCommand(upload)));
  };
  const get = (Key: string) => new GetObjectCommand({ Bucket, Key });
  const list = (Prefix?: string) => new ListObjectsV2Command({ Bucket, Prefix });
  const write = (Key: string, conditions: { IfMatch?: string; IfNoneMatch?: string } = {}) =>
    new PutObjectCommand({ Bucket, Key, Body: 'other bytes', ...conditions });
  const thaw = (Key: string) => new RestoreObjectCommand({ Bucket, Key, RestoreRequest: { Days: 1 } });
  const remove = (Key: string) => new DeleteObjectCommand({ Bucket, Key });
  const part = () => new UploadPartCommand({ ...upload, UploadId, PartNumber: 1, Body: 'x' });
  const abort = () => new AbortMultipartUploadCommand({ ...upload, UploadId });
  const readers: readonly Role[] = ['backup', 'restore', 'drill', 'verify'];
  const deeds: readonly Deed[] = [
    ['read a chunk', readers, (s3) => s3.send(get(chunk))],
    ['read a manifest', roles, (s3) => s3.send(get(manifest))],
    ['read a pointer', roles, (s3) => s3.send(get(pointerKey))],
    ['read RESTORE.txt', readers, (s3) => s3.send(get(recovery))],
    ["read another host's manifest", [], (s3) => s3.send(get(theirKey))],
    ['list', roles, (s3) => s3.send(list(`${prefix}/`))],
    ['list the whole bucket', [], (s3) => s3.send(list())],
    ['list another host', [], (s3) => s3.send(list('fleet/host-2/'))],
    ['list uploads', ['backup', 'prune'], (s3) => s3.send(new ListMultipartUploadsCommand({ Bucket }))],
    [
      'store a new chunk',
      ['backup'],
      (s3) => s3.send(write(`${folder}/new-${fresh++}`, { IfNoneMatch: '*' })),
    ],
    ['store a new chunk without looking', [], (s3) => s3.send(write(`${folder}/new-${fresh++}`))],
    ['write over a chunk', [], (s3) => s3.send(write(chunk))],
    ['write over a chunk that was seen', [], (s3) => s3.send(write(chunk, { IfMatch }))],
    ['write over a manifest', [], (s3) => s3.send(write(manifest))],
    ['write over a pointer', [], (s3) => s3.send(write(pointerKey))],
    ['replace the pointer that was seen', ['backup'], (s3) => s3.send(write(pointerKey, { IfMatch }))],
    ['write RESTORE.txt', ['backup'], (s3) => s3.send(write(recovery))],
    ['write recover.sh', ['backup'], (s3) => s3.send(write(script))],
    ['record a drill', ['drill'], (s3) => s3.send(write(`${prefix}/drill/data/20260101T020000Z.json`))],
    ["write over another host's manifest", [], (s3) => s3.send(write(theirKey))],
    ['write somewhere else', [], (s3) => s3.send(write(`${prefix}/other`, { IfNoneMatch: '*' }))],
    ['begin an upload', ['backup'], (s3) => s3.send(new CreateMultipartUploadCommand(upload))],
    ['send a part', ['backup'], (s3) => s3.send(part())],
    ['end an upload', ['backup', 'prune'], (s3) => s3.send(abort())],
    ['request a thaw', ['restore', 'drill'], (s3) => s3.send(thaw(cold))],
    ["request another host's thaw", [], (s3) => s3.send(thaw(theirKey))],
    ['delete a chunk', ['prune'], (s3) => s3.send(remove(chunk))],
    ['delete a manifest', ['prune'], (s3) => s3.send(remove(manifest))],
    ['delete RESTORE.txt', [], (s3) => s3.send(remove(recovery))],
    ['delete recover.sh', [], (s3) => s3.send(remove(script))],
    ["delete another host's manifest", [], (s3) => s3.send(remove(theirKey))],
  ];
  // What was refused, or only looked, has left everything as it was.
  let isTouched = true;
  for (const [name, may, does] of deeds) {
    for (const role of roles) {
      if (isTouched) await unrestricted(reset);
      become(role);
      const outcome = await does(client).then(
        () => 'done',
        (error: Error) => error.name,
      );
      assert.equal(outcome, may.includes(role) ? 'done' : 'AccessDenied', `${role}: ${name}`);
      isTouched = outcome === 'done' && !/^(read|list)/.test(name);
    }
  }

  // A chunk of several parts is completed only where nothing is.
  await unrestricted(reset);
  become('backup');
  const { ETag } = await client.send(part());
  const complete = (conditions = {}) =>
    client.send(
      new CompleteMultipartUploadCommand({
        ...upload,
        UploadId,
        ...conditions,
        MultipartUpload: { Parts: [{ PartNumber: 1, ETag }] },
      }),
    );
  await assert.rejects(complete(), { name: 'AccessDenied' });
  await complete({ IfNoneMatch: '*' });
});
