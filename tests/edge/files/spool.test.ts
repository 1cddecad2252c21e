import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Spool } from '../../../lib/edge/files/spool.ts';

test('what was written is read in its order, through one piece of memory, until it is cleared', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'spool-'));
  t.after(() => rm(directory, { recursive: true }));
  const spool = await Spool.open(directory);
  t.after(() => spool.close());
  const memory = new Uint8Array(new SharedArrayBuffer(1000));
  const readAll = async () => {
    const pieces: Buffer[] = [];
    for await (const piece of spool.read(memory)) {
      assert.equal(piece.buffer, memory.buffer);
      pieces.push(Buffer.from(piece));
    }
    return Buffer.concat(pieces);
  };
  for (const length of [2500, 1000, 0]) {
    const data = randomBytes(length);
    await spool.write(data.subarray(0, 700));
    await spool.write(data.subarray(700));
    assert.deepEqual(await readAll(), data);
    assert.deepEqual(await readAll(), data, 'a second time too');
    await spool.clear();
  }
  assert.deepEqual(await readdir(directory), [], 'the file has no name');
});
