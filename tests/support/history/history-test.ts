/** A test of histories, as the environment asks for them. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { cleanUpAfter } from '../../end-to-end/world.ts';
import { prepareGround } from './ground.ts';
import { actionOf, type PlannedStep, switchable } from './plan-history.ts';
import { runHistories } from './run-histories.ts';
import { readSwitches } from './switches.ts';

/** How long a test runs where the environment does not say. */
export interface Defaults {
  readonly seed: number;
  readonly histories: number;
  readonly seconds: number;
}

/**
 * Runs histories and fails with the first one, or, with KEEP_GOING=1, after all, that breaks the property. HISTORIES= or SECONDS=
 * says for how long, SEED= where to begin, OFF= what to leave out, STEPS= what to do instead; SHRINK=1 shortens what fails.
 */
export async function testHistories(test: TestContext, defaults: Defaults): Promise<void> {
  const { HISTORIES, SECONDS, SEED, OFF, STEPS, KEEP_GOING, SHRINK } = process.env;
  const histories = HISTORIES ?? (SECONDS === undefined ? defaults.histories : Number.POSITIVE_INFINITY);
  const controller = new AbortController();
  const stop = (name: string) => controller.abort(new Error(`stopped by ${name}`));
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const name of signals) process.once(name, stop);
  const ground = await prepareGround(cleanUpAfter(test));
  const { failed } = await runHistories(ground, {
    firstSeed: Number(SEED ?? defaults.seed),
    histories: STEPS === undefined ? Number(histories) : 1,
    seconds: Number(SECONDS ?? (HISTORIES === undefined ? defaults.seconds : Number.POSITIVE_INFINITY)),
    keepGoing: KEEP_GOING === '1',
    shrink: SHRINK === '1',
    isOn: readSwitches(OFF, switchable),
    steps: STEPS === undefined ? undefined : readSteps(STEPS),
    print: (line) => test.diagnostic(line),
    // At once, and not with the end of the test: a long run is watched.
    tell: (line) => process.stderr.write(`${line}\n`),
    signal: controller.signal,
  });
  for (const name of signals) process.off(name, stop);
  controller.signal.throwIfAborted();
  const lines = failed.map(
    ({ plan, failure }) => `SEED=${plan.seed}: ${failure?.split('\n').slice(0, 3).join(' ')}`,
  );
  assert.deepEqual(lines, []);
}

/** `name.number name.number …`, as a failure prints them. */
function readSteps(text: string): readonly PlannedStep[] {
  return text
    .split(/\s+/)
    .filter(Boolean)
    .map((word) => {
      const [name = '', number] = word.split('.');
      actionOf(name);
      return { name, number: Number(number ?? 0) };
    });
}
