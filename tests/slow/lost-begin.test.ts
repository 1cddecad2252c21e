/** The answer to the beginning of a multipart upload is lost: the upload exists, and its id is lost. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { CreateMultipartUploadCommand } from '@aws-sdk/client-s3';
import { proveBackup, unfinishedUploads } from '../end-to-end/under-way.ts';
import { createWorld, mustSucceed } from '../end-to-end/world.ts';

test('an upload whose beginning was not answered is given up when the others are whole, and those of others are not', async (t) => {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'random'), randomBytes(18 * 2 ** 20));
  const Key = 'fleet/host-2/subvol/data/full/chunk-20260101T020000Z-00000.bin';
  await world.client.send(new CreateMultipartUploadCommand({ Bucket: 'backups', Key }));
  await mustSucceed(world, 'snapshot.ts');
  const { created_at } = JSON.parse(await readFile(join(world.runDirectory, 'data/snapshot.json'), 'utf8'));
  // Another upload is begun, and ended, to find out what the server takes.
  const key = `*/chunk-${created_at}-*`;
  world.server.faults.set([{ fault: 'lost-response', operation: 'CreateMultipartUpload', key, next: 2 }]);
  const { stderr } = await mustSucceed(world, 'send-chunk-upload.ts');
  assert.match(stderr, /cannot begin .*; trying again for /);
  assert.deepEqual(await unfinishedUploads(world), [Key]);
  await proveBackup(world);
});
