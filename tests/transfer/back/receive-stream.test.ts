import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { describeError, type ToolError } from '../../../lib/core/errors.ts';
import { openReceiveStream, type ReceiveStream } from '../../../lib/transfer/back/receive-stream.ts';
import { withFakeBtrfs } from '../../support/fake-btrfs.ts';
import { btrfs, loopBtrfs } from '../../support/loop-btrfs.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const mount = await loopBtrfs('receive-stream');
const directory = temporaryDirectory('receive-stream');

const content = randomBytes(2_000_000);
btrfs('subvolume', 'create', join(mount, 'data'));
writeFileSync(join(mount, 'data', 'file'), content);
btrfs('subvolume', 'snapshot', '-r', join(mount, 'data'), join(mount, 'snapshot'));
const stream = execFileSync('btrfs', ['send', '-q', join(mount, 'snapshot')], {
  maxBuffer: 2 ** 26,
  stdio: ['ignore', 'pipe', 'ignore'],
});

/** An empty directory to receive into. */
function emptyDirectory(name: string): string {
  const path = join(mount, name);
  mkdirSync(path);
  return path;
}

const fakeStream = (script: string, signal?: AbortSignal) =>
  withFakeBtrfs(directory, script, async () => openReceiveStream('/', signal));

test('what was sent is received, in pieces whose memory is used again', async () => {
  const target = emptyDirectory('whole');
  const receive = openReceiveStream(target);
  const memory = Buffer.alloc(70_001);
  for (let at = 0; at < stream.length; at += memory.length) {
    const length = stream.copy(memory, 0, at, at + memory.length);
    await receive.write(memory.subarray(0, length));
    memory.fill(0xee);
  }
  await receive.finish();
  await receive.close();
  assert.deepEqual(readFileSync(join(target, 'snapshot', 'file')), content);
});

test('a stream that stops half-way is an error', async () => {
  const receive = openReceiveStream(emptyDirectory('half'));
  await receive.write(stream.subarray(0, stream.length / 2));
  await assert.rejects(receive.finish(), (error: ToolError) => {
    assert.equal(error.message, 'btrfs receive failed with exit code 1');
    assert.match(error.childOutput ?? '', /ERROR/);
    return true;
  });
  await receive.close();
});

test('nothing at all is an error too', async () => {
  const receive = openReceiveStream(emptyDirectory('nothing'));
  await assert.rejects(receive.finish(), /btrfs receive failed with exit code 1/);
});

test('a spoilt stream is an error: at the write or at the end, with the words of btrfs receive', async () => {
  const target = emptyDirectory('spoilt');
  const spoilt = Buffer.from(stream);
  spoilt.fill(0xff, 1000, 2000);
  const receive = openReceiveStream(target);
  const working = (async () => {
    await receive.write(spoilt);
    await receive.finish();
  })();
  await assert.rejects(working, (error: ToolError) => {
    assert.match(error.message, /btrfs receive failed with exit code/);
    assert.match(error.childOutput ?? '', /ERROR/);
    return true;
  });
});

test('a directory that is not on Btrfs is refused with the words of btrfs receive', async () => {
  const receive = openReceiveStream(join(directory, 'missing'));
  await assert.rejects(receive.finish(), /btrfs receive failed/);
});

test('a child that fails while it is written to gives its exit code, not a broken pipe', async () => {
  const receive = await fakeStream('head -c 1000 > /dev/null; echo out of space >&2; exit 9');
  await assert.rejects(receive.write(Buffer.alloc(4_000_000)), (error: ToolError) => {
    assert.equal(error.message, 'btrfs receive failed with exit code 9');
    assert.equal(error.childOutput, 'out of space');
    return true;
  });
  await assert.rejects(receive.write(Buffer.alloc(1)), /exit code 9/);
  await receive.close();
});

test('a child that is content before it has read everything is an error', async () => {
  const receive = await fakeStream('head -c 1000 > /dev/null; exit 0');
  await assert.rejects(receive.write(Buffer.alloc(4_000_000)), /stopped reading before the stream ended/);
  await receive.close();
});

test('exit codes and signals after the last byte count', async () => {
  for (const [script, expected] of [
    ['cat > /dev/null; exit 7', /exit code 7; make verify DEEP=1/],
    [
      'cat > /dev/null; kill -KILL $$',
      /was killed by SIGKILL; .*memory runs out, .*; run the same command again$/,
    ],
  ] as const) {
    const receive = await fakeStream(script);
    await receive.write(Buffer.from('all of it'));
    await assert.rejects(receive.finish(), (error) => {
      assert.match(describeError(error), expected);
      return true;
    });
  }
});

test('closing ends the child, whatever it waits for', async () => {
  const pidFile = join(directory, 'pid');
  const receive = await fakeStream(`echo $$ > ${pidFile}; exec sleep 60`);
  while (!existsSync(pidFile) || readFileSync(pidFile, 'utf8') === '')
    await new Promise((resolve) => setTimeout(resolve, 10));
  const waiting = receive.write(Buffer.alloc(4_000_000)).catch((error: unknown) => error);
  await receive.close();
  assert.match(String(await waiting), /btrfs receive was killed by SIGTERM/);
  assert.throws(() => process.kill(Number(readFileSync(pidFile, 'utf8')), 0), /ESRCH/);
});

test('an abort ends a child that neither reads nor ends, and is the reason of what waits for it', async () => {
  for (const wait of [
    (receive: ReceiveStream) => receive.write(Buffer.alloc(4_000_000)),
    (receive: ReceiveStream) => receive.finish(),
  ]) {
    const ending = new AbortController();
    const receive = await fakeStream('exec sleep 60', ending.signal);
    const waiting = wait(receive);
    setTimeout(() => ending.abort(new Error('told to stop')), 50);
    await assert.rejects(waiting, /^Error: told to stop$/);
    await receive.close();
  }
  const receive = await fakeStream('exec sleep 60', AbortSignal.abort(new Error('told before')));
  await assert.rejects(receive.finish(), /^Error: told before$/);
});

for (const [what, words, message, hint] of [
  [
    'an attribute too large for the nodes',
    'lsetxattr a user.x=y failed: No space left on device',
    /metadata nodes of/,
    /mkfs\.btrfs -n/,
  ],
  [
    'a target without compression',
    'lsetxattr z btrfs.compression=zstd failed: Invalid argument',
    /takes no compression/,
    /without nodatacow/,
  ],
  [
    'a target whose disk fails',
    'writing to b/file failed: Input/output error',
    /^btrfs receive failed: the filesystem of \/ has an error$/,
    /dmesg says which; choose a TARGET on a sound filesystem/,
  ],
  [
    'anything else',
    'rename a -> b failed: Directory not empty',
    /failed with exit code 1/,
    /make verify DEEP=1 shows/,
  ],
] as const) {
  test(`a failed receive says what is known of it, and what to do: ${what}`, async () => {
    const receive = await fakeStream(`echo 'ERROR: ${'v'.repeat(2000)} ${words}' >&2; exit 1`);
    await assert.rejects(receive.finish(), (error: ToolError) => {
      assert.match(error.message, message);
      assert.match(error.hint ?? '', hint);
      assert.ok((error.childOutput ?? '').length < 400, 'the words are shortened');
      assert.match(error.childOutput ?? '', new RegExp(`${words.slice(-20)}$`), 'and end as they did');
      return true;
    });
  });
}

test('a full filesystem is named in the line, with the words of btrfs receive below', async () => {
  const receive = await fakeStream(
    'echo "ERROR: writing to file failed: No space left on device" >&2; exit 1',
  );
  await assert.rejects(receive.finish(), (error: ToolError) => {
    assert.equal(error.message, 'btrfs receive failed: the filesystem of / is full');
    assert.match(error.hint ?? '', /make room/);
    assert.match(error.childOutput ?? '', /No space left/);
    return true;
  });
});

test('the stream cannot write outside the directory', async () => {
  const script = `printf '%s\\n' "$@" > ${join(directory, 'arguments')}; cat > /dev/null`;
  const receive = await fakeStream(script);
  await receive.finish();
  assert.deepEqual(readFileSync(join(directory, 'arguments'), 'utf8').trim().split('\n'), [
    'receive',
    '--quiet',
    '--chroot',
    '--',
    '/',
  ]);
  assert.deepEqual(
    readdirSync(mount)
      .sort()
      .filter((name) => name === 'snapshot' || name === 'data'),
    ['data', 'snapshot'],
  );
});

test('a staging directory, which is gone by then, is named by what people know of its filesystem', async () => {
  const script = 'echo "ERROR: writing to file failed: No space left on device" >&2; exit 1';
  const receive = await withFakeBtrfs(directory, script, async () =>
    openReceiveStream('/', undefined, { place: '/mnt/disk' }),
  );
  await assert.rejects(receive.finish(), {
    message: 'btrfs receive failed: the filesystem of /mnt/disk is full',
  });
});
