import assert from 'node:assert/strict';
import { closeSync, createReadStream, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { after, test } from 'node:test';
import type { ToolError } from '../../../lib/core/errors.ts';
import { type Fifo, makeFifos } from '../../../lib/edge/process/fifo.ts';
import { type Step, startPipeline } from '../../../lib/edge/process/pipeline.ts';
import { runProgram } from '../../../lib/edge/process/run-program.ts';
import { changeEnvironment } from '../../support/environment.ts';
import { shortenWaits } from '../../support/short-waits.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

shortenWaits();

const fifos = await makeFifos(4);
after(() => {
  for (const fifo of fifos) fifo.close();
});
const [into, back, ...between] = fifos as unknown as readonly [Fifo, Fifo, Fifo, Fifo];

const bash = (name: string, script: string): Step => ({ name, file: 'bash', args: ['--norc', '-c', script] });
const childrenOfOurs = () => readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').trim();

function start(steps: readonly Step[]) {
  const ends = back.open('child');
  const pipeline = startPipeline(steps, into, between, ends.writeDescriptor);
  closeSync(ends.writeDescriptor);
  return { pipeline, output: text(createReadStream('', { fd: ends.readDescriptor })) };
}

/** Runs a pipeline on a text, and gives what comes out and how it ended. */
async function run(steps: readonly Step[], input: string) {
  const { pipeline, output } = start(steps);
  pipeline.input.end(input);
  const error: ToolError | undefined = await pipeline.finished.then(
    () => undefined,
    (reason: ToolError) => reason,
  );
  assert.equal(childrenOfOurs(), '', 'no child is left');
  return { output: await output, error };
}

test('programs pass bytes on, in one row, and the same pipes serve again', async () => {
  const steps = [bash('a', 'tr a-z b-za'), bash('b', 'tr b-z B-Z'), bash('c', 'cat; printf end')];
  for (const word of ['abc', 'x'.repeat(300_000), '']) {
    const { output, error } = await run(steps, word);
    assert.equal(error, undefined);
    assert.equal(output, `${word.replaceAll('abc', 'BCD').replaceAll('x', 'Y')}end`);
  }
});

for (const [what, steps, says] of [
  ['first', [bash('a', 'echo oh >&2; exit 3'), bash('b', 'cat')], /^a failed with exit code 3$/],
  [
    'last',
    [bash('a', 'cat'), bash('b', 'head -c 9 >/dev/null; echo oh >&2; exit 3')],
    /^b failed with exit code 3$/,
  ],
  [
    'one in the middle, by a signal',
    [
      bash('a', 'cat'),
      bash('b', 'head -c 9 >/dev/null; echo oh >&2; kill -KILL $$'),
      bash('c', 'cat; exec sleep 60'),
    ],
    /^b was killed by SIGKILL$/,
  ],
] as const) {
  test(`the failure of the ${what} is the one that is reported, with its words, and ends the others`, async () => {
    const { error } = await run(steps, 'x'.repeat(1_000_000));
    assert.match(error?.message ?? '', says);
    assert.equal(error?.childOutput, 'oh');
  });
}

test('a program that is not installed is named', async () => {
  const { error } = await run([bash('a', 'cat'), { name: 'b', file: 'no-such-program', args: [] }], 'x');
  assert.equal(error?.message, 'the command no-such-program is not installed');
  assert.match(error?.hint ?? '', /make setup/);
});

test('what did not read to its end leaves nothing in the pipes for those that come after', async () => {
  const wasteful = [bash('a', 'printf abc'), bash('b', 'true')];
  assert.equal((await run(wasteful, '')).output, '');
  assert.equal((await run([bash('a', 'cat'), bash('b', 'cat')], 'x')).output, 'x');
});

test('a pipeline that is stopped is gone', async () => {
  const { pipeline, output } = start([bash('a', 'cat'), bash('b', 'trap "" TERM; cat; exec sleep 60')]);
  await pipeline.stop();
  assert.equal(childrenOfOurs(), '');
  await assert.rejects(pipeline.finished, /was killed by/);
  assert.equal(await output, '');
});

test('pipes have no names once they are made', async (t) => {
  const directory = temporaryDirectory('pipeline');
  changeEnvironment(t, { TMPDIR: directory });
  const made = await makeFifos(2);
  assert.deepEqual(readdirSync(directory), []);
  for (const fifo of made) fifo.close();
  rmdirSync(directory);
  await assert.rejects(makeFifos(1), { message: /^cannot make pipes in .*pipeline.*: it does not exist$/ });
});

test('a program is run on bytes, and its output is given', async () => {
  assert.equal((await runProgram(bash('a', 'rev'), Buffer.from('abc'))).toString(), 'cba');
  assert.equal(
    (await runProgram(bash('a', 'exec <&-; sleep 0.1; echo ok'), Buffer.alloc(1e6))).toString(),
    'ok\n',
  );
  await assert.rejects(runProgram(bash('a', 'echo oh >&2; exit 1')), {
    message: 'a failed with exit code 1',
    childOutput: 'oh',
  });
});

test('a program whose signal is aborted is ended, and the reason is what comes out', async () => {
  const ending = new AbortController();
  const running = runProgram(bash('a', 'exec sleep 60'), undefined, ending.signal);
  ending.abort(new Error('enough'));
  await assert.rejects(running, /enough/);
  assert.equal(childrenOfOurs(), '');
});
