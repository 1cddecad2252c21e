import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { createWorld, errorLines, mustSucceed, readBytes, writeObject } from '../end-to-end/world.ts';

test('in a copy of the bucket, which has other ETags and no checksums, the bytes decide', async (t) => {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'random'), randomBytes(20 * 2 ** 20));
  const { manifest } = await world.backup();
  // In one piece each, where they were stored in parts.
  for (const { key } of manifest.chunks) await writeObject(world, key, await readBytes(world, key));

  const plain = await world.run('verify.ts');
  assert.equal(plain.exitCode, 4, plain.stderr);
  assert.match(plain.stdout, /was replaced: its ETag is/);
  assert.match((await mustSucceed(world, 'list.ts')).stdout, /unsure: chunk .* was replaced/);
  const target = join(world.mount, 'restored');
  const { stderr } = await mustSucceed(world, 'restore.ts', '--subvolume', 'data', '--target', target);
  assert.match(stderr, /don't match the manifest's ETag or checksum, .*; reading them will settle it/);
  assert.deepEqual(await treeDigest(target), await treeDigest(manifest.snapshot.path));
  assert.match((await mustSucceed(world, 'verify.ts', '--deep')).stdout, /^sound: 1 manifest/m);
  assert.match((await mustSucceed(world, 'verify.ts')).stdout, /^sound: 1 manifest/m);

  const [first] = manifest.chunks;
  assert.ok(first, 'there is a chunk');
  const other = await readBytes(world, first.key);
  other.writeUInt8(other.readUInt8(0) ^ 1, 0);
  await writeObject(world, first.key, other);
  const deep = await world.run('verify.ts', '--deep');
  assert.equal(deep.exitCode, 4, deep.stderr);
  assert.match(deep.stdout, new RegExp(`^${first.key}: is damaged: part 1`, 'm'));
  const again = join(world.mount, 'again');
  const refused = await world.run('restore.ts', '--subvolume', 'data', '--target', again);
  assert.equal(refused.exitCode, 4, refused.stderr);
  assert.match(errorLines(refused).join(), new RegExp(`${first.key} is damaged: part 1`));
});
