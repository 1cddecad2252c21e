import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { closeWriteEnd, openPipe, PipeReader } from '../../../lib/transfer/out/pipe-reader.ts';
import { testDirectory } from '../../../testing/harness/test-directory.ts';

const directory = mkdtempSync(join(testDirectory(), 'pipe-'));
after(() => rmSync(directory, { recursive: true, force: true }));

/** A reader of what a shell command prints. */
async function readerOf(script: string): Promise<PipeReader> {
  const pipe = await openPipe(directory);
  spawn('sh', ['-c', script], { cwd: directory, stdio: ['ignore', pipe.writeDescriptor, 'inherit'] });
  closeWriteEnd(pipe);
  return new PipeReader(pipe.readDescriptor);
}

test('what is read is what was written, whatever the sizes of the targets', async () => {
  const data = randomBytes(3_000_001);
  writeFileSync(join(directory, 'data'), data);
  for (const sizes of [[1], [65_536], [65_535, 1], [100_000, 7, 3], [3_000_001], [3_000_000], [4_000_000]]) {
    const reader = await readerOf('cat data');
    const pieces: Buffer[] = [];
    let total = 0;
    for (let at = 0, ended = false; !ended; at++) {
      // The smallest targets would take minutes, so after a while they grow.
      const wanted = (sizes[at % sizes.length] ?? 1) + (at > 2000 ? 500_000 : 0);
      const target = Buffer.alloc(wanted);
      const reported: number[] = [0];
      const filled = await reader.fill(target, (from, to) => {
        assert.equal(from, reported.at(-1));
        reported.push(to);
      });
      assert.equal(reported.at(-1), filled.bytes);
      if (!filled.ended) assert.equal(filled.bytes, wanted);
      pieces.push(target.subarray(0, filled.bytes));
      total += filled.bytes;
      ended = filled.ended;
    }
    assert.equal(total, data.length);
    assert.equal(sha256(Buffer.concat(pieces)), sha256(data), `sizes ${sizes}`);
  }
});

test('the end is known with the last byte, even when it fills its target exactly', async () => {
  const reader = await readerOf('printf 12345678; sleep 0.1');
  assert.deepEqual(await reader.fill(Buffer.alloc(4)), { bytes: 4, ended: false });
  assert.deepEqual(await reader.fill(Buffer.alloc(4)), { bytes: 4, ended: true });
});

test('an empty pipe ends with nothing', async () => {
  const reader = await readerOf('true');
  assert.deepEqual(await reader.fill(Buffer.alloc(4)), { bytes: 0, ended: true });
});

test('a failure rejects the fill that waits and those after it', async () => {
  const reader = await readerOf('printf 1; sleep 5');
  const waiting = reader.fill(Buffer.alloc(4));
  reader.fail(new Error('enough'));
  await assert.rejects(waiting, /enough/);
  await assert.rejects(reader.fill(Buffer.alloc(4)), /enough/);
});

function sha256(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}
