import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { runLine } from '../../testing/harness/demo/command.ts';
import { createNarrator } from '../../testing/harness/demo/narrator.ts';
import { endProcessesWithMark, processesWithMark } from '../../testing/harness/processes/marked-processes.ts';
import { Stopped } from '../../testing/harness/processes/stop.ts';
import { startServerProcess } from '../../testing/harness/servers/local-server.ts';
import { testDirectory } from '../../testing/harness/test-directory.ts';
import { createWorkspace, sweepDeadWorkspaces } from '../../testing/harness/workspace.ts';

const environment = { PATH: process.env.PATH ?? '' };

/** A process that sleeps, with a variable. */
async function startSleeper(variables: Record<string, string>) {
  const child = spawn('sleep', ['60'], { env: { ...environment, ...variables }, stdio: 'ignore' });
  await once(child, 'spawn');
  return child;
}

function surroundings(signal: AbortSignal = new AbortController().signal) {
  const said: string[] = [];
  return { said, narrator: createNarrator((line) => said.push(line)), environment, signal };
}

test('only processes with exactly the mark are found and ended', async () => {
  const mark = `TEST_MARK=${process.pid}`;
  const marked = await startSleeper({ TEST_MARK: `${process.pid}` });
  const other = await startSleeper({ TEST_MARK: `${process.pid}0` });
  assert.deepEqual(await processesWithMark(mark), [marked.pid]);
  await endProcessesWithMark(mark);
  assert.deepEqual(await processesWithMark(mark), []);
  assert.equal(other.exitCode, null);
  other.kill('SIGKILL');
});

test('the folder of a dead demonstration is swept with its processes, one of a living owner is not', async () => {
  const mine = await createWorkspace('demo');
  // No process has this start time.
  const dead = join(testDirectory(), `demo-${process.pid}-1`);
  await mkdir(join(dead, 'inner'), { recursive: true });
  await writeFile(join(dead, 'inner/file'), '');
  const orphan = await startSleeper({ BTRFS_TO_S3_WORKSPACE: dead });
  const gone = once(orphan, 'exit');
  assert.ok((await sweepDeadWorkspaces('demo')) >= 1);
  await gone;
  assert.deepEqual([existsSync(dead), existsSync(mine.directory)], [false, true]);
  await mine.remove();
  assert.equal(existsSync(mine.directory), false);
});

test('a command line is shown with both of its outputs in order', async () => {
  const { said, ...rest } = surroundings();
  const { lines } = await runLine('echo one; echo two >&2; echo three', rest);
  assert.deepEqual(lines, ['one', 'two', 'three']);
  assert.equal(said.length, 5);
  await assert.rejects(runLine('exit 3', rest), /ended with exit code 3: exit 3/);
});

test('a stop reaches all that a command line started', async () => {
  const controller = new AbortController();
  const { narrator, signal } = surroundings(controller.signal);
  const marked = { ...environment, TEST_MARK: `stop ${process.pid}` };
  const running = runLine('sleep 60 | sleep 61', { narrator, signal, environment: marked });
  while ((await processesWithMark(`TEST_MARK=stop ${process.pid}`)).length < 3);
  controller.abort(new Stopped('SIGTERM', 143));
  await assert.rejects(running, Stopped);
  assert.deepEqual(await processesWithMark(`TEST_MARK=stop ${process.pid}`), []);
});

test('the server ends with the process that started it, and says why it cannot start', async () => {
  const directory = await mkdtemp(join(testDirectory(), 'server-process-'));
  const bucket = 'demo';
  const server = await startServerProcess({ directory, bucket, environment });
  assert.equal((await fetch(server.endpoint)).status, 403);
  await server.stop();
  await assert.rejects(fetch(server.endpoint));

  const mark = { TEST_MARK: directory };
  const module = join(import.meta.dirname, '../../testing/harness/servers/local-server.ts');
  const program = `import { startServerProcess } from '${module}';
    await startServerProcess(${JSON.stringify({ directory, bucket, environment: { ...environment, ...mark } })});
    process.kill(process.pid, 'SIGKILL');`;
  const parent = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', program], {
    env: environment,
    stdio: 'ignore',
  });
  await once(parent, 'exit');
  while ((await processesWithMark(`TEST_MARK=${directory}`)).length > 0);
  await rm(directory, { recursive: true });

  await writeFile(directory, '');
  await assert.rejects(
    startServerProcess({ directory, bucket, environment }),
    /did not start: s3-server: .+/,
  );
  await rm(directory);
});
