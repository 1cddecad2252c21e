/** What the sweeps share: choices that a seed repeats, the stages of a backup, and what makes a failure a clear one. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { type Manifest, parseManifest, parsePointer } from '../../lib/core/format/manifest.ts';
import { type DeterministicRandom, deterministicRandom } from '../../testing/harness/deterministic-random.ts';
import {
  errorLines,
  pointerKey,
  readObject,
  runProcess,
  type ScriptResult,
  type World,
} from '../end-to-end/world.ts';

/** The scripts of a backup, in their order. */
export const stages = ['snapshot.ts', 'send-chunk-upload.ts', 'manifest.ts'] as const;

/** A whole number of the environment, such as `KILLS=40`. */
export function numberOf(name: string, fallback: number): number {
  const number = Number(process.env[name] ?? fallback);
  if (!Number.isSafeInteger(number) || number < 1) throw new Error(`${name} is not a number above 0`);
  return number;
}

/** Random choices of a test; the seed is printed, and `SEED=` repeats them. */
export function seededRandom(test: TestContext, what: string): DeterministicRandom {
  const seed = numberOf('SEED', 1);
  test.diagnostic(`${what}: SEED=${seed}`);
  return deterministicRandom(`${what} ${seed}`);
}

/** Fails unless a script that did not succeed said so: a documented exit code, and one line with the reason. */
export function assertClearFailure(result: ScriptResult, what: string): void {
  assert.ok(result.exitCode === 1 || result.exitCode === 4, `${what}: exit code ${result.exitCode}`);
  const lines = errorLines(result);
  assert.equal(lines.length, 1, `${what}: ${lines.join('\n') || result.stderr}`);
  assert.doesNotMatch(lines.join(), /this is a defect/, what);
}

/** Restores as another host would, which has no source snapshot to compare with. */
export async function restoreElsewhere(world: World, target: string): Promise<ScriptResult> {
  const config = await world.settingsFile({ SUBVOLUMES: undefined, SNAPSHOT_DIR: undefined });
  const script = ['scripts/restore.ts', '--config', config];
  return runProcess('scripts/tsx.sh', [...script, '--subvolume', 'data', '--target', target]);
}

/** The published backup, read as any reader of the bucket would; it has to be whole. */
export async function publishedBackup(
  world: World,
): Promise<{ readonly key: string; readonly manifest: Manifest; readonly pointer: string }> {
  const pointer = await readObject(world, pointerKey);
  const { manifest_key: key } = parsePointer(pointer, pointerKey);
  return { key, manifest: parseManifest(await readObject(world, key), key, 'fleet/host-1'), pointer };
}
