import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ToolError } from '../../../lib/core/errors.ts';
import { openSendStream, type SendStream } from '../../../lib/transfer/out/send-stream.ts';
import { withFakeBtrfs } from '../../support/fake-btrfs.ts';
import { btrfs, loopBtrfs } from '../../support/loop-btrfs.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const mount = await loopBtrfs('send-stream');
const directory = temporaryDirectory('send-stream');
const never = new AbortController().signal;

btrfs('subvolume', 'create', join(mount, 'data'));
writeFileSync(join(mount, 'data', 'file'), randomBytes(3_000_000));
btrfs('subvolume', 'snapshot', '-r', join(mount, 'data'), join(mount, 'first'));
writeFileSync(join(mount, 'data', 'more'), randomBytes(100_000));
btrfs('subvolume', 'snapshot', '-r', join(mount, 'data'), join(mount, 'second'));

const requestFor = (snapshot: string, parent?: string) => ({
  snapshotPath: join(mount, snapshot),
  parentPath: parent === undefined ? undefined : join(mount, parent),
  compressedData: false,
  directory,
});

/** Reads to the end. */
async function readAll(stream: SendStream, targetBytes = 1_000_000): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let ended = false; !ended; ) {
    const target = Buffer.alloc(targetBytes);
    const filled = await stream.fill(target);
    pieces.push(target.subarray(0, filled.bytes));
    ended = filled.ended;
  }
  return Buffer.concat(pieces);
}

const hashOf = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

/** Opens a stream of a stand-in that runs `script`; closes it after `use`. */
async function withFake(
  script: string,
  use: (stream: SendStream) => Promise<void>,
  signal: AbortSignal = never,
): Promise<void> {
  const stream = await withFakeBtrfs(directory, script, () => openSendStream(requestFor('first'), signal));
  try {
    await use(stream);
  } finally {
    await stream.close();
  }
}

for (const [what, request, args] of [
  ['full', requestFor('first'), ['first']],
  ['incremental', requestFor('second', 'first'), ['-p', join(mount, 'first'), 'second']],
] as const) {
  test(`the ${what} stream is what btrfs send prints`, async () => {
    const expected = execFileSync('btrfs', ['send', '-q', ...args], {
      cwd: mount,
      maxBuffer: 2 ** 26,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const stream = await openSendStream(request, never);
    const read = await readAll(stream);
    await stream.close();
    assert.equal(read.length, expected.length);
    assert.equal(hashOf(read), hashOf(expected));
  });
}

test('a failing btrfs send is an error with its words, and never an end', async () => {
  const stream = await openSendStream(requestFor('data'), never);
  await assert.rejects(readAll(stream), (error: ToolError) => {
    assert.equal(error.message, `btrfs send of ${join(mount, 'data')} failed with exit code 1`);
    assert.match(error.childOutput ?? '', /not read-only/);
    assert.match(error.hint ?? '', /run make backup again/);
    return true;
  });
  await stream.close();
});

test('a snapshot that is gone, or the parent, is named', async () => {
  for (const request of [requestFor('missing'), requestFor('second', 'missing')]) {
    const stream = await openSendStream(request, never);
    await assert.rejects(readAll(stream), (error: ToolError) => {
      assert.equal(
        error.message,
        `btrfs send failed: the snapshot ${join(mount, 'missing')} no longer exists`,
      );
      assert.match(error.hint ?? '', /make backup/);
      assert.notEqual(error.childOutput, undefined);
      return true;
    });
    await stream.close();
  }
});

test('bytes before a failure are no stream: the end is never reported', async () => {
  await withFake('head -c 150000 /dev/zero; echo broken >&2; exit 7', async (stream) => {
    assert.deepEqual(await stream.fill(Buffer.alloc(100_000)), { bytes: 100_000, ended: false });
    await assert.rejects(stream.fill(Buffer.alloc(100_000)), (error: ToolError) => {
      assert.equal(error.message, `btrfs send of ${join(mount, 'first')} failed with exit code 7`);
      assert.equal(error.childOutput, 'broken');
      return true;
    });
  });
});

test('a failure after a part that was filled exactly is found with that part', async () => {
  await withFake('head -c 1000 /dev/zero; exit 7', async (stream) => {
    await assert.rejects(stream.fill(Buffer.alloc(1000)), /exit code 7/);
  });
});

test('the end is reported only after the exit, not when the output ends', async () => {
  const mark = join(directory, 'exited');
  const script = `printf 123; exec >&-; sleep 0.3; touch ${mark}`;
  await withFake(script, async (stream) => {
    assert.deepEqual(await stream.fill(Buffer.alloc(10)), { bytes: 3, ended: true });
    assert.ok(readdirSync(directory).includes('exited'));
  });
});

test('a btrfs send that sends nothing and is content is an error', async () => {
  await withFake('exit 0', async (stream) => {
    await assert.rejects(stream.fill(Buffer.alloc(10)), /btrfs send of .*first sent nothing/);
  });
});

test('a btrfs send that is killed is an error', async () => {
  await withFake('printf 123; kill -KILL $$', async (stream) => {
    await assert.rejects(readAll(stream), (error: ToolError) => {
      assert.match(error.message, /btrfs send of .*first was killed by SIGKILL/);
      assert.match(
        error.hint ?? '',
        /memory runs out, .*; run make backup again; it resumes from what is uploaded$/,
      );
      return true;
    });
  });
});

test('closing ends a btrfs send that would go on, and leaves neither process nor pipe', async () => {
  const pidFile = join(directory, 'pid');
  await withFake(`echo $$ > ${pidFile}; printf 123; exec sleep 60`, async (stream) => {
    const waiting = assert.rejects(stream.fill(Buffer.alloc(10)), /the stream is closed/);
    const pidOf = () => (existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8')) : 0);
    while (pidOf() === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    await stream.close();
    await waiting;
    const pid = pidOf();
    assert.throws(() => process.kill(pid, 0), /ESRCH/);
    assert.deepEqual(
      readdirSync(directory).filter((name) => name.endsWith('.fifo')),
      [],
    );
  });
});

test('an abort rejects a waiting fill with its reason, at whatever point', async () => {
  for (const script of ['exec sleep 60', 'printf 123; exec >&-; exec sleep 60']) {
    const ending = new AbortController();
    await withFake(
      script,
      async (stream) => {
        const waiting = stream.fill(Buffer.alloc(10));
        setTimeout(() => ending.abort(new Error('enough')), 200);
        await assert.rejects(waiting, /^Error: enough$/);
        await assert.rejects(stream.fill(Buffer.alloc(10)), /^Error: enough$/);
      },
      ending.signal,
    );
  }
});

test('with a signal that is aborted already, nothing is read', async () => {
  await withFake(
    'head -c 1000 /dev/zero',
    async (stream) => {
      await assert.rejects(stream.fill(Buffer.alloc(10)), /^Error: before$/);
    },
    AbortSignal.abort(new Error('before')),
  );
});

test('a directory in which no pipe can be made is named', async () => {
  await assert.rejects(
    openSendStream({ ...requestFor('first'), directory: join(directory, 'none') }, never),
    /cannot make a pipe in .*none/,
  );
});
