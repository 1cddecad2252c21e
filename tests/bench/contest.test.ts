import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Candidate } from '../../testing/bench/candidates.ts';
import { hold } from '../../testing/bench/contest.ts';
import { startSink } from '../../testing/bench/sink/start-sink.ts';
import { plainEnvironment } from '../../testing/harness/processes/plain-environment.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const directory = temporaryDirectory('contest');
const environment = plainEnvironment({});
const line = { tls: false, delayMs: 0, megabitsPerSecond: undefined };
const sink = await startSink(line, directory, environment);
after(() => sink.stop());
const signal = new AbortController().signal;

const candidate = (name: string, script: string, passesSink = false): Candidate => ({
  name,
  role: 'other',
  passesSink,
  command: { script, args: [], environment },
});

function contest(candidates: readonly Candidate[], rounds: number) {
  const said: string[] = [];
  const clears = { count: 0 };
  const clear = async () => {
    clears.count += 1;
  };
  const options = {
    rounds,
    sink,
    streamBytes: 10,
    signal,
    say: (text: string) => said.push(text.replace(/:.*/, '')),
  };
  return { said, clears, held: hold({ direction: 'upload', candidates, clear }, options) };
}

test('candidates take turns, each round begins with another one, a round is not counted, and every turn is cleared up after', async () => {
  const { held, said, clears } = contest([candidate('a', ':'), candidate('b', ':')], 3);
  const results = await held;
  const turns = ['0/3  a', '0/3  b', '1/3  a', '1/3  b', '2/3  b', '2/3  a', '3/3  a', '3/3  b'];
  assert.deepEqual(
    said,
    turns.map((turn) => `upload ${turn}`),
  );
  assert.deepEqual(
    results.map(({ name, runs }) => [name, runs.length]),
    [
      ['a', 3],
      ['b', 3],
    ],
  );
  assert.equal(clears.count, 8);
});

test('a candidate that exits 0 without having moved the stream fails the contest, and is cleared up after', async () => {
  const { held, clears } = contest([candidate('idle', ':', true)], 1);
  await assert.rejects(held, { message: 'idle exited 0, but moved 0 of 10 bytes' });
  assert.equal(clears.count, 1);
});

test('a candidate that fails, fails the contest', async () => {
  const { held } = contest([candidate('broken', 'exit 9')], 1);
  await assert.rejects(held, /exit code 9/);
});
