/** The embedded server as a process: its command line, its memory, and its death in the middle of an upload. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { explain, readCommandLine } from '../../testing/s3-server/command-line.ts';
import { startS3Server } from '../../testing/s3-server/server.ts';
import { ACCOUNT, BUCKET as Bucket, createTarget, makeScratch } from './start.ts';
import { beginPut, refused, type Target } from './target.ts';

const MIB = 1024 * 1024;
const ROOT = join(import.meta.dirname, '../..');

function spawnServer(args: readonly string[], withAccount = true): ChildProcess {
  const account = { AWS_ACCESS_KEY_ID: ACCOUNT.accessKeyId, AWS_SECRET_ACCESS_KEY: ACCOUNT.secretAccessKey };
  return spawn(process.execPath, ['--import', 'tsx', 'testing/s3-server/main.ts', ...args], {
    cwd: ROOT,
    env: { PATH: process.env.PATH ?? '', ...(withAccount ? account : {}) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Runs the command line to its end. */
async function run(
  args: readonly string[],
  withAccount = true,
): Promise<{ code: number; out: string; err: string }> {
  const child = spawnServer(args, withAccount);
  const texts = { out: '', err: '' };
  child.stdout?.on('data', (data: Buffer) => {
    texts.out += data.toString();
  });
  child.stderr?.on('data', (data: Buffer) => {
    texts.err += data.toString();
  });
  const [code] = (await once(child, 'close')) as [number];
  return { code, ...texts };
}

/** Runs `work` with a server process; the process has ended and its directory is gone when this settles. */
async function withProcess(
  work: (child: ChildProcess, target: Target, directory: string) => Promise<void>,
): Promise<void> {
  const directory = await makeScratch();
  try {
    await onProcess(directory, (child, target) => work(child, target, directory));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function onProcess(
  directory: string,
  work: (child: ChildProcess, target: Target) => Promise<void>,
): Promise<void> {
  const child = spawnServer(['--directory', directory, '--bucket', Bucket]);
  const ended = once(child, 'exit');
  try {
    assert.ok(child.stdout !== null);
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const target = createTarget('a process', line.toString().trim());
    try {
      await work(child, target);
    } finally {
      target.client.destroy();
    }
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
}

/** The most memory a process has had, in MiB, as Linux tells it. */
async function peakMemory(child: ChildProcess): Promise<number> {
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

describe('the embedded server as a process', { concurrency: false }, () => {
  test('--help explains, and what is missing is said and exits 2', async () => {
    const help = await run(['--help']);
    assert.deepEqual([help.code, help.err], [0, '']);
    assert.match(help.out, /^Usage: \S.*main\.ts --directory DIR.*--fault JSON.*\/-\/control\/faults/s);
    const { code, out, err } = await run(['--directory', 'x'], false);
    assert.deepEqual([code, out], [2, '']);
    assert.match(err, /AWS_ACCESS_KEY_ID/);
  });

  for (const [args, complaint] of [
    [[], /directory/],
    [['--directory', 'x', '--port', 'any'], /port/],
    [['--colour'], /--colour/],
    [['--directory', 'x', '--fault', '{"fault"'], /fault\.0: not JSON/],
    [['--directory', 'x', '--fault', '{"fault":"slow"}'], /fault rules: 0\.bytesPerSecond/],
    [['--directory', 'x', '--allowed', 's3:All'], /allowed\.0: 's3:All' is not an action/],
  ] as const) {
    test(`it does not start with ${args.join(' ') || 'no arguments'}`, async () => {
      const account = {
        AWS_ACCESS_KEY_ID: ACCOUNT.accessKeyId,
        AWS_SECRET_ACCESS_KEY: ACCOUNT.secretAccessKey,
      };
      const start = async () => startS3Server(readCommandLine(args, account) ?? assert.fail());
      await assert.rejects(start(), (error) => complaint.test(explain(error)));
    });
  }

  test('it serves until SIGTERM, and then exits 0 although a client keeps its connection', async () => {
    await withProcess(async (child, { client }) => {
      await client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'x' }));
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      assert.deepEqual(await ended, [0, null]);
    });
  });

  test('200 MiB in and out are streamed in bounded memory', async () => {
    await withProcess(async (child, target) => {
      const piece = Buffer.alloc(MIB, 'some bytes');
      const before = await peakMemory(child);
      const { request: put, response } = await beginPut(target, 'big', 200 * MIB);
      for (let sent = 0; sent < 200; sent += 1) {
        if (!put.write(piece)) {
          await once(put, 'drain');
        }
      }
      put.end();
      const answer = await response;
      answer.resume();
      assert.equal(answer.statusCode, 200);
      const { Body } = await target.client.send(new GetObjectCommand({ Bucket, Key: 'big' }));
      let bytes = 0;
      for await (const slice of Body as AsyncIterable<Buffer>) {
        bytes += slice.length;
      }
      assert.equal(bytes, 200 * MIB);
      const grown = (await peakMemory(child)) - before;
      assert.ok(grown < 100, `memory grew by ${Math.round(grown)} MiB`);
    });
  });

  test('killed in the middle of an upload, it comes back with the old object and no stray bytes', async () => {
    const directory = await makeScratch();
    try {
      await onProcess(directory, async (child, target) => {
        await target.client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'old' }));
        const { request: put, response } = await beginPut(target, 'a', 20 * MIB);
        const broken = assert.rejects(response, /ECONNRESET|socket hang up|EPIPE/);
        put.write(Buffer.alloc(10 * MIB));
        await waitForPartial(directory);
        const ended = once(child, 'exit');
        child.kill('SIGKILL');
        await ended;
        await broken;
      });
      await onProcess(directory, async (_child, { client }) => {
        const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: 'a' }));
        assert.equal(await Body?.transformToString(), 'old');
        assert.equal((await readdir(join(directory, 'blobs'))).length, 1);
        await refused(client.send(new HeadObjectCommand({ Bucket, Key: 'b' })), 'NotFound', 404);
      });
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});

/** Waits until a body is on its way to the disk. */
async function waitForPartial(directory: string): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    const names = await readdir(join(directory, 'blobs'));
    if (names.some((name) => name.endsWith('.partial'))) {
      return;
    }
    await sleep(10);
  }
  assert.fail('no body reached the disk');
}
