import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runForRecords } from '../../../lib/edge/process/child-records.ts';
import { changeEnvironment } from '../../support/environment.ts';

/** Runs a bash script and gathers its records. */
async function recordsOf(script: string, options: { input?: Buffer; signal?: AbortSignal } = {}) {
  const records: string[] = [];
  const command = {
    file: 'bash',
    args: ['--norc', '-c', script],
    directory: '/',
    separator: 0x0a,
    ...options,
  };
  await runForRecords(command, (record) => records.push(record.toString('latin1')));
  return records;
}

test('records come whole and in order, however the output is cut', async () => {
  assert.deepEqual(await recordsOf('printf "a\\n\\nb"; sleep 0.1; printf "c\\nlast"'), [
    'a',
    '',
    'bc',
    'last',
  ]);
  assert.deepEqual(await recordsOf(':'), []);
  const many = await recordsOf('seq 1 200000');
  assert.equal(many.length, 200_000);
  assert.equal(many.at(-1), '200000');
});

test('a record longer than the pipe, and bytes that are no text, arrive unchanged', async () => {
  assert.deepEqual(await recordsOf('head -c 300000 /dev/zero | tr "\\0" "\\377"; printf "\\n\\351"'), [
    '\xff'.repeat(300_000),
    '\xe9',
  ]);
});

test('the child reads its input, a minimal environment and nothing else', async (t) => {
  changeEnvironment(t, { SECRET_OF_TEST: 'secret' });
  assert.deepEqual(await recordsOf('cat; echo "$SECRET_OF_TEST$LC_ALL"', { input: Buffer.from('in\n') }), [
    'in',
    'C',
  ]);
});

test('a failure carries the exit code or signal and what the child complained of', async () => {
  const failing = recordsOf('echo fine; echo broken >&2; exit 7');
  await assert.rejects(failing, { name: 'ToolError', message: /exit code 7/, childOutput: 'broken' });
  await assert.rejects(recordsOf('kill -SEGV $$'), { name: 'ToolError', message: /killed by SIGSEGV/ });
  const unread = recordsOf('exec 0<&-; exit 3', { input: Buffer.alloc(10_000_000) });
  await assert.rejects(unread, { name: 'ToolError', message: /exit code 3/ });
  const missing = runForRecords(
    { file: 'no-such-command', args: [], directory: '/', separator: 0 },
    () => {},
  );
  await assert.rejects(missing, { name: 'ToolError', message: /no-such-command is not installed/ });
});

test('an error while reading ends the child', async () => {
  const command = {
    file: 'bash',
    args: ['--norc', '-c', 'echo $$; exec sleep 60'],
    directory: '/',
    separator: 0x0a,
  };
  let pid = 0;
  const reading = runForRecords(command, (record) => {
    pid = Number(record.toString());
    throw new Error('not understood');
  });
  await assert.rejects(reading, { message: 'not understood' });
  assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
});

test('an abort ends even a child that ignores SIGTERM, and is the reason of the failure', async () => {
  const controller = new AbortController();
  const running = recordsOf('trap "" TERM; while :; do sleep 0.1; done', { signal: controller.signal });
  setTimeout(() => controller.abort(new Error('told to stop')), 300);
  await assert.rejects(running, { message: 'told to stop' });
  await assert.rejects(recordsOf('echo never', { signal: controller.signal }), { message: 'told to stop' });
});
