/** What is asked of a script that a signal stopped. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type EndedScript, processesAbout, type RunningScript } from './running-script.ts';
import { createWorld, errorLines, type World } from './world.ts';

const mib = 2 ** 20;

/** With which a script ends that a signal stopped. */
export const exitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** A signal that stops a script. */
export type Signal = keyof typeof exitCodes;

/** A script stops within five seconds, cleaning up included. */
const endsWithinMs = 5000;

/** A world whose subvolume has more than the parts that are in memory at once. */
export async function worldWithData(
  t: TestContext,
  changes: Readonly<Record<string, string>> = {},
): Promise<World> {
  const world = await createWorld(t, changes);
  await writeFile(join(world.data, 'random'), randomBytes(40 * mib));
  return world;
}

/** Waits for the end of a script that was asked to stop, and for nothing else of it. */
export async function endOf(running: RunningScript): Promise<EndedScript> {
  const tooLate = sleep(endsWithinMs, undefined, { ref: false });
  const ended = await Promise.race([running.ended, tooLate]);
  return ended ?? assert.fail(`it still runs after ${endsWithinMs} ms: ${running.said()}`);
}

/** The whole answer to a signal: exit code, one line, and no child that lives on. */
export async function assertStopped(world: World, running: RunningScript, name: Signal): Promise<void> {
  const ended = await endOf(running);
  assert.equal(ended.exitCode, exitCodes[name], `${ended.signal} ${ended.stderr}`);
  assert.deepEqual(errorLines(ended), [`stopped by ${name}; run the same command again to continue`]);
  assert.doesNotMatch(ended.stderr, /defect/);
  assert.deepEqual(await processesAbout(world.mount), [], 'no child lives on');
}

/** Parts and whole chunks that the server has taken since a number of requests. */
export function storedBytes(world: World, since = 0): number {
  return world.server.requests
    .slice(since)
    .filter(({ key, method, status }) => key?.endsWith('.bin') && method === 'PUT' && status === 200)
    .reduce((sum, { bytesReceived }) => sum + bytesReceived, 0);
}
