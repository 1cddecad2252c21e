/** RESTORE.txt, followed to the letter by a machine. */
import assert from 'node:assert/strict';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLoopFilesystem } from '../../testing/harness/loop-filesystem.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { asScript, assertSucceeded, commandBlocks } from '../support/recovery-blocks.ts';
import { change, snapper } from './their-snapshots.ts';
import { hostIn } from './within-process.ts';
import { createWorld, namesIn, readObject, runProcess, secret } from './world.ts';

/** The part of the script that waits for a thaw, which people do with their eyes. */
const untilThawed = (block: string) =>
  `for _ in {1..50}; do sleep 0.2; { ${block} } | grep -v 'ongoing-request="false"' || break; done`;

test('RESTORE.txt recovers a chain whose snapshots share a name, from an archive class', async (t) => {
  const archived = { STORAGE_CLASS_CHUNKS: 'DEEP_ARCHIVE', CHUNK_SIZE: '5MiB' };
  const world = await createWorld(t, archived, 512 * 2 ** 20, { thawDelayMs: 300 });
  // Three snapshots of snapper, all called `snapshot`.
  const { at, take } = await snapper(world);
  const host = await hostIn(world, { name: 'home', snapshots: join(world.mount, '.snapshots/*/snapshot') });
  const kinds: string[] = [];
  for (const number of [1, 2, 3]) {
    await change(world, `file-${number}`, 'content\n'.repeat(number === 1 ? 800_000 : 1000));
    if (number === 3) await rename(join(world.data, 'file-2'), join(world.data, 'renamed'));
    await take(number);
    const { manifest } = await host.backUp();
    assert.equal(manifest.snapshot.name, 'snapshot');
    kinds.push(`${manifest.kind}  ${manifest.created_at}`);
  }

  const other = await createLoopFilesystem({ name: 'by-hand', sizeBytes: 512 * 2 ** 20 });
  world.cleanUp(() => other.remove());
  const target = join(other.mountPoint, 'home');
  const filledIn = { name: 'home', directory: `'${join(other.mountPoint, 'by hand')}'`, target };
  const blocks = commandBlocks(await readObject(world, 'fleet/host-1/RESTORE.txt'), filledIn).map((block) =>
    block.includes('head-object') ? untilThawed(block) : block,
  );
  const { stdout, stderr } = await runProcess('bash', ['--norc', '-u', '-c', asScript(blocks)], {
    PATH: process.env.PATH ?? '',
    HOME: process.env.HOME ?? '/',
    AWS_CONFIG_FILE: join(world.directory, 'aws-config'),
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    AWS_ACCESS_KEY_ID: 'end-to-end',
    AWS_SECRET_ACCESS_KEY: secret,
  });
  assertSucceeded(stderr, blocks);
  assert.ok(stdout.includes(`${kinds.join('\n')}\n`), stdout);
  assert.deepEqual(await treeDigest(target), await treeDigest(at(3)));
  const left = await namesIn(join(other.mountPoint, 'by hand'));
  assert.deepEqual(
    left.filter((name) => name.startsWith('chunk-')),
    [],
  );
});
