import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { createWorld, errorLines, mustSucceed } from '../end-to-end/world.ts';

test('with more requests at once than Node thinks usual, nothing warns, and one that fails ends the others', async (t) => {
  const world = await createWorld(t, { CONCURRENCY: '16', CHUNK_SIZE: '40MiB' });
  for (let file = 0; file < 3; file++) {
    await writeFile(join(world.data, `random-${file}`), randomBytes(40 * 2 ** 20));
  }
  // So that the parts of all chunks are under way together.
  world.server.faults.set([{ fault: 'stall', ms: 300, operation: ['UploadPart', 'GetObject'] }]);
  const { manifest } = await world.backup();
  await mustSucceed(world, 'verify.ts', '--deep');
  const target = join(world.mount, 'restored');
  await mustSucceed(world, 'restore.ts', '--subvolume', 'data', '--target', target);
  assert.deepEqual(await treeDigest(target), await treeDigest(manifest.snapshot.path));

  world.server.faults.set([
    { fault: 'error', code: 'ExpiredToken', operation: 'GetObject', key: '*.bin', next: 1 },
    { fault: 'error', code: 'InternalError', operation: 'GetObject', key: '*.bin' },
  ]);
  const startedAt = Date.now();
  const failed = await world.run('verify.ts', '--deep');
  assert.equal(failed.exitCode, 1, failed.stderr);
  assert.match(errorLines(failed).join('\n'), /credentials have expired/);
  assert.ok(Date.now() - startedAt < 60_000, 'nobody waits for the requests beside it');
});
