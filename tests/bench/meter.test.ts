import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MIB } from '../../lib/core/units.ts';
import { measure, toolCommand } from '../../testing/bench/measure/meter.ts';
import { processesWithMark } from '../../testing/harness/processes/marked-processes.ts';
import { plainEnvironment } from '../../testing/harness/processes/plain-environment.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const mark = `METER_TEST=${process.pid}`;
const environment = plainEnvironment({ METER_TEST: `${process.pid}` });
const never = new AbortController().signal;

test('time, processor time of grandchildren, and memory are measured', async () => {
  // Memory is looked at while the program sleeps: a busy machine may take long to fill it.
  const busy =
    'globalThis.held = Buffer.alloc(150 * 2 ** 20, 1); const until = Date.now() + 300; while (Date.now() < until); setTimeout(() => {}, 1000);';
  const command = {
    script: 'bash -c \'"$@"; sleep 0.3\' bash "$@"',
    args: [process.execPath, '-e', busy],
    environment,
  };
  const { seconds, cpuSeconds, peakBytes } = await measure(command, never);
  assert.ok(seconds >= 0.9, `${seconds} s`);
  // A busy machine gives less processor time than time passes.
  assert.ok(cpuSeconds > 0.05 && cpuSeconds <= seconds * 4, `${cpuSeconds} CPU-s in ${seconds} s`);
  assert.ok(peakBytes >= 150 * MIB && peakBytes < 1024 * MIB, `${peakBytes} bytes`);
});

test('sleeping costs no processor time', async () => {
  const { seconds, cpuSeconds } = await measure({ script: 'sleep 1', args: [], environment }, never);
  assert.ok(cpuSeconds < seconds / 2, `${cpuSeconds} CPU-s in ${seconds} s`);
});

test('a failure anywhere in a pipe is one, with its words', async () => {
  const script = '{ echo some words >&2; exit 7; } | cat';
  await assert.rejects(measure({ script, args: [], environment }, never), /exit code 7 of: .*\nsome words$/);
});

test('values are arguments, and no part of the script', async () => {
  const args = ['$(exit 3)', "'; exit 4; '"];
  await measure({ script: '[[ $1 == "\\$(exit 3)" && $2 == "\'; exit 4; \'" ]]', args, environment }, never);
});

test('an abort ends all that runs, and is the reason', async () => {
  const controller = new AbortController();
  const reason = new Error('enough');
  const running = measure({ script: 'sleep 60 | sleep 60', args: [], environment }, controller.signal);
  const refused = assert.rejects(running, reason);
  while ((await processesWithMark(mark)).length < 3) await sleep(20);
  const abortedMs = performance.now();
  controller.abort(reason);
  await refused;
  const seconds = (performance.now() - abortedMs) / 1000;
  assert.ok(seconds < 30, `${seconds} s`);
  assert.deepEqual(await processesWithMark(mark), []);
});

test('a script of another checkout is started there, by what make starts it with', async () => {
  const checkout = temporaryDirectory('checkout');
  await mkdir(join(checkout, 'scripts'));
  const starter = '#!/bin/bash\nprintf "%s\\n" "$PWD" "$@" > started\n';
  await writeFile(join(checkout, 'scripts/tsx.sh'), starter, { mode: 0o700 });
  await measure(toolCommand(checkout, 'restore', ['--config', 'a b'], environment), never);
  const started = await readFile(join(checkout, 'started'), 'utf8');
  assert.equal(started, `${checkout}\nscripts/restore.ts\n--config\na b\n`);
});
