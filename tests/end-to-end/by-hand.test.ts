import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { createWorld, readBytes, readObject } from './world.ts';

test('chunks are contiguous pieces of the stream: hashed and joined by hand they restore without the tool', async (t) => {
  const world = await createWorld(t);
  const mib = 2 ** 20;
  await writeFile(join(world.data, 'random'), randomBytes(100 * mib));
  const { manifest } = await world.backup();

  // 100 MiB of data and less than a MiB around it: twelve chunks of 8 MiB and one that is shorter.
  assert.equal(manifest.chunks.length, 13);
  assert.equal(manifest.chunk_size, 8 * mib);
  assert.ok(manifest.chunks.slice(0, -1).every((chunk) => chunk.size === 8 * mib));

  const streamPath = join(world.directory, 'stream');
  const joined = createWriteStream(streamPath);
  const stream = createHash('sha256');
  for (const [index, chunk] of manifest.chunks.entries()) {
    assert.match(
      chunk.key,
      new RegExp(`/data/full/chunk-${manifest.created_at}-${String(index).padStart(5, '0')}\\.bin$`),
    );
    const bytes = await readBytes(world, chunk.key);
    assert.equal(bytes.length, chunk.size);
    assert.equal(createHash('sha256').update(bytes).digest('hex'), chunk.sha256);
    const parts = chunk.parts?.map((_, part) => bytes.subarray(part * 5 * mib, (part + 1) * 5 * mib)) ?? [];
    assert.deepEqual(
      parts.map((part) => createHash('sha256').update(part).digest('base64')),
      chunk.parts,
    );
    stream.update(bytes);
    joined.write(bytes);
  }
  await new Promise((resolve) => joined.end(resolve));
  assert.equal(stream.digest('hex'), manifest.stream?.sha256);

  const byHand = join(world.mount, 'by-hand');
  await mkdir(byHand);
  await shell`btrfs receive ${byHand} < ${streamPath}`;
  const received = join(byHand, manifest.snapshot.name);
  assert.deepEqual(
    await treeDigest(received),
    await treeDigest(join(world.snapshots, manifest.snapshot.name)),
  );

  const text = await readObject(world, 'fleet/host-1/RESTORE.txt');
  assert.match(text, /btrfs receive/);
});
