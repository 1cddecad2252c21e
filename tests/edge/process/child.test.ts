import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { ToolError } from '../../../lib/core/errors.ts';
import {
  childEnvironment,
  command,
  commandError,
  type StreamChild,
  startStreamChild,
} from '../../../lib/edge/process/child.ts';
import { runForRecords } from '../../../lib/edge/process/child-records.ts';
import { changeEnvironment } from '../../support/environment.ts';
import { shortenWaits } from '../../support/short-waits.ts';

shortenWaits();

const shell = (script: string, stdout: 'pipe' | 'ignore' = 'pipe') =>
  startStreamChild('the test child', 'bash', ['--norc', '-c', script], ['pipe', stdout]);

const isRunning = ({ pid = 0 }: ChildProcess) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

const textOf = (child: StreamChild) => text(child.process.stdout ?? assert.fail('no stdout'));

test('a child sees a search path and the language C, and nothing else of ours', async (t) => {
  changeEnvironment(t, { AWS_SECRET_ACCESS_KEY: 'do-not-pass-on', SOME_OTHER_VARIABLE: 'do-not-pass-on' });
  const child = startStreamChild('env', 'env', [], ['ignore', 'pipe']);
  const outputs = [await textOf(child), (await command`env`).stdout];
  const lines: string[] = [];
  await runForRecords({ file: 'env', args: [], directory: '/', separator: 10 }, (record) => {
    lines.push(record.toString());
  });
  for (const output of [...outputs, lines.join('\n')]) {
    assert.doesNotMatch(output, /do-not-pass-on/);
    assert.match(output, /^LC_ALL=C$/m);
    assert.match(output, /^PATH=.*:\/usr\/sbin:/m);
    const names = output.split('\n').flatMap((line) => /^(\w+)=/.exec(line)?.[1] ?? []);
    assert.deepEqual(
      names.filter((name) => !['PATH', 'LC_ALL', 'PWD', 'SHLVL', '_'].includes(name)),
      [],
    );
  }
  assert.deepEqual(Object.keys(childEnvironment()), ['PATH', 'LC_ALL']);
});

test("a command runs nothing of the user's own first", async () => {
  // Bash runs ~/.bashrc when its stdin is a socket.
  assert.equal((await command`readlink /proc/self/fd/0`).stdout, '/dev/null\n');
});

test('arguments reach a command as they are, whatever is in them', async () => {
  const odd = ['a b', '$HOME', "it's", '"', 'x;false', '*', '', '\n'];
  const { stdout } = await command`printf [%s] ${odd}`;
  assert.equal(stdout, odd.map((word) => `[${word}]`).join(''));
});

test('no child is in our process group: Ctrl-C in a terminal is for us alone', async () => {
  const script = 'cut -d " " -f 5 < /proc/self/stat';
  const groups = [await textOf(shell(script)), (await command`sh -c ${script}`).stdout];
  await runForRecords({ file: 'sh', args: ['-c', script], directory: '/', separator: 10 }, (record) => {
    groups.push(record.toString());
  });
  const [, , , , ours] = readFileSync('/proc/self/stat', 'utf8').split(' ');
  assert.equal(groups.length, 3);
  for (const group of groups) {
    assert.match(group, /^\d+\n?$/);
    assert.notEqual(group.trim(), ours);
  }
});

test('a command that fails is no exception: its exit code and words are there', async () => {
  const { exitCode, stderr } = await command`sh -c ${'echo why >&2; exit 9'}`;
  assert.deepEqual([exitCode, stderr], [9, 'why\n']);
});

test('a command takes no stack trace, with options or without, and leaves those of others alone', async (t) => {
  const before: unknown = Reflect.get(Error, 'prepareStackTrace');
  t.after(() => Reflect.set(Error, 'prepareStackTrace', before));
  const depths: number[] = [];
  Reflect.set(Error, 'prepareStackTrace', (_: Error, frames: readonly unknown[]) => {
    depths.push(frames.length);
    return '';
  });
  const running = [command`true`, command({ timeout: '1m' })`true`];
  const taken = Math.max(0, ...depths.splice(0));
  const own = new Error('ours').stack;
  assert.deepEqual([taken, own, depths.length], [0, '', 1]);
  assert.ok((depths[0] ?? 0) > 0);
  await Promise.all(running);
});

test('a child that is done well resolves', async () => {
  const child = shell('cat; echo on stderr >&2');
  child.process.stdin?.end('through');
  assert.equal(await textOf(child), 'through');
  await child.finished;
});

test('a missing command is named, with how to install it', async () => {
  const child = startStreamChild('the stream', 'no-such-command', [], ['ignore', 'pipe']);
  await assert.rejects(child.finished, (error: ToolError) => {
    assert.ok(error instanceof ToolError);
    assert.equal(error.message, 'the command no-such-command is not installed');
    assert.match(error.hint ?? '', /make setup/);
    return true;
  });
  await child.stop();
});

test('exit code and last words are in the error, and the words are bounded', async () => {
  const child = shell('head -c 1000000 /dev/zero | tr "\\0" x >&2; echo the end >&2; exit 7');
  await assert.rejects(child.finished, (error: ToolError) => {
    assert.equal(error.message, 'the test child failed with exit code 7');
    const words = error.childOutput ?? '';
    assert.ok(words.endsWith('xthe end'), words.slice(-100));
    assert.ok(words.length <= 16_384, `${words.length} characters`);
    return true;
  });
});

test('the signal that ended a child is in the error', async () => {
  const child = shell('kill -KILL $$');
  await assert.rejects(child.finished, (error: ToolError) => {
    assert.equal(error.message, 'the test child was killed by SIGKILL');
    assert.match(
      error.hint ?? '',
      /^the kernel does that when memory runs out, .*: lower PART_SIZE or CONCURRENCY$/,
    );
    return true;
  });
  // A shell in between tells of a signal so.
  await assert.rejects(shell('exit 137').finished, (error: ToolError) =>
    /when memory runs out/.test(error.hint ?? ''),
  );
  await assert.rejects(shell('exit 9').finished, (error: ToolError) => error.hint === undefined);
});

test('a failure that no one waits for ends nothing', async () => {
  shell('exit 1');
  await new Promise((resolve) => setTimeout(resolve, 100));
});

test('stop leaves no process, even of a child that ignores SIGTERM', async () => {
  for (const script of ['exec sleep 60', 'trap "" TERM; echo ready; while :; do read -t 0.05; done']) {
    const child = shell(`echo ready; ${script}`);
    await new Promise((resolve) => child.process.stdout?.once('data', resolve));
    child.process.stdout?.resume();
    assert.ok(isRunning(child.process));
    await child.stop();
    assert.ok(!isRunning(child.process), script);
    await assert.rejects(child.finished, /was killed by SIG(TERM|KILL)/);
  }
});

test('stopping a child that has ended is done at once, and keeps how it ended', async () => {
  const child = shell('true', 'ignore');
  await child.finished;
  await child.stop();
  await child.stop();
  await child.finished;
});

test('records: a missing command, a failure and an abort are distinguished, and no process is left', async () => {
  const base = { args: [], directory: '/', separator: 10 };
  await assert.rejects(
    runForRecords({ ...base, file: 'no-such-command' }, () => undefined),
    /the command no-such-command is not installed/,
  );
  await assert.rejects(
    runForRecords({ ...base, file: 'sh', args: ['-c', 'echo why >&2; exit 3'] }, () => undefined),
    (error: ToolError) => error.message === 'sh failed with exit code 3 in /' && error.childOutput === 'why',
  );
  const ending = new AbortController();
  const pids: number[] = [];
  const reading = runForRecords(
    { ...base, file: 'sh', args: ['-c', 'echo $$; exec sleep 60'], signal: ending.signal },
    (record) => {
      pids.push(Number(record.toString()));
      ending.abort(new Error('enough'));
    },
  );
  await assert.rejects(reading, /enough/);
  assert.equal(pids.length, 1);
  assert.ok(!isRunning({ pid: pids[0] } as ChildProcess));
});

test('records: what comes in pieces is cut at the separator alone', async () => {
  const seen: string[] = [];
  const script = 'printf "a\\0b"; sleep 0.05; printf "c\\0\\0d"';
  await runForRecords(
    { file: 'bash', args: ['--norc', '-c', script], directory: '/', separator: 0 },
    (record) => {
      seen.push(record.toString());
    },
  );
  assert.deepEqual(seen, ['a', 'bc', '', 'd']);
});

test('a short command that is not installed is reported as such, and another failure with its words', async () => {
  const { stderr } = await command`no-such-command-anywhere --x`;
  const missing = commandError('cannot do it', stderr);
  assert.equal(missing.message, 'cannot do it: the command no-such-command-anywhere is not installed');
  assert.match(missing.hint ?? '', /make setup/);
  const failed = commandError('cannot do it', 'ls: cannot access x: No such file or directory\n');
  assert.deepEqual([failed.message, failed.hint], ['cannot do it', undefined]);
  assert.match(failed.childOutput ?? '', /cannot access/);
});
