/** An encrypted, compressed backup whose upload is killed: nothing is sent twice, and everything that reads backups reads it. */
import { test } from 'node:test';
import { makeIdentity } from '../support/age-keys.ts';
import { backUpThroughKills, fill, proveReaders } from './codec-journey.ts';
import { createWorld } from './world.ts';

test('through zstd and age: kills, resume, verify, restore, CONTINUE=1, extract and drill', async (t) => {
  const sizes = { CHUNK_SIZE: '20MiB', PART_SIZE: '5MiB', CONCURRENCY: '2' };
  const world = await createWorld(t, sizes, 768 * 2 ** 20);
  const { identity, recipient } = await makeIdentity(world.directory, 'identity');
  await fill(world.data, 50);
  const settings = { COMPRESS: 'zstd', ENCRYPT_TO: recipient, DECRYPT_WITH: identity };
  await backUpThroughKills(world, settings, 2);
  await proveReaders(t, world, settings, 'mixed');
});
