/** recover.sh of the bucket restores on a host that has neither node nor this project. */
import assert from 'node:assert/strict';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLoopFilesystem } from '../../testing/harness/loop-filesystem.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { bareHost } from '../support/recover-sh.ts';
import { change, snapper } from './their-snapshots.ts';
import { hostIn } from './within-process.ts';
import { createWorld, namesIn, readObject, secret } from './world.ts';

const credentials = { AWS_ACCESS_KEY_ID: 'end-to-end', AWS_SECRET_ACCESS_KEY: secret };

test('recover.sh lists and restores a chain whose snapshots share a name', async (t) => {
  const world = await createWorld(t, { CHUNK_SIZE: '5MiB' }, 512 * 2 ** 20);
  const { at, take } = await snapper(world);
  const host = await hostIn(world, { name: 'home', snapshots: join(world.mount, '.snapshots/*/snapshot') });
  const keys: string[] = [];
  for (const number of [1, 2, 3]) {
    await change(world, `file-${number}`, 'content\n'.repeat(number === 1 ? 800_000 : 1000));
    if (number === 3) await rename(join(world.data, 'file-2'), join(world.data, 'renamed'));
    await take(number);
    keys.push((await host.backUp()).key);
  }

  const bare = await bareHost(
    world.directory,
    await readObject(world, 'fleet/host-1/recover.sh'),
    credentials,
  );
  const listed = await bare.recover('list');
  assert.equal(listed.exitCode, 0, listed.stderr);
  const lines = listed.stdout.trimEnd().split('\n');
  assert.deepEqual(
    lines.map((line) => line.split(' ').at(-1)),
    ['home', ...keys],
  );

  const other = await createLoopFilesystem({ name: 'recovered', sizeBytes: 512 * 2 ** 20 });
  world.cleanUp(() => other.remove());
  const target = join(other.mountPoint, 'it is "home"');
  const restored = await bare.recover('restore', 'home', target);
  assert.equal(restored.exitCode, 0, restored.stderr);
  assert.equal(restored.stdout, `restored ${target}\n`);
  assert.deepEqual(await treeDigest(target), await treeDigest(at(3)));
  assert.deepEqual(await namesIn(other.mountPoint), ['it is "home"']);
});
