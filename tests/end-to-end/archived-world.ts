/** Worlds with backups in archive classes. They are backed up within this process, because a chain of scripts takes minutes. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { backUpAt } from './back-up-at.ts';
import { allKeys, createWorld, errorLines, type ScriptResult, type World } from './world.ts';

const mib = 2 ** 20;
/** Longer than any test takes: such a thaw ends when the test says so. */
export const untilTold = 3_600_000;

/** How an archived world is made. */
export interface ArchiveOptions {
  readonly thawDelayMs?: number;
  readonly settings?: Readonly<Record<string, string>>;
  /** Incremental backups after the full one, which has several chunks. */
  readonly incrementals?: number;
}

/** A world whose chunks are in DEEP_ARCHIVE, unless the settings say otherwise. */
export async function archivedWorld(
  t: TestContext,
  { thawDelayMs = 0, settings = {}, incrementals = 1 }: ArchiveOptions = {},
): Promise<World> {
  const world = await createWorld(t, { STORAGE_CLASS_CHUNKS: 'DEEP_ARCHIVE', ...settings }, 2 * 2 ** 30, {
    thawDelayMs,
  });
  await writeFile(join(world.data, 'random'), randomBytes(20 * mib));
  await backUp(world);
  for (let round = 1; round <= incrementals; round++) {
    await writeFile(join(world.data, `file-${round}`), randomBytes(1000));
    await backUp(world);
  }
  return world;
}

let backups = 0;

/** Backs the world up, under another prefix if one is given; each backup is an hour younger than the one before. */
export async function backUp(world: World, settings: Readonly<Record<string, string>> = {}): Promise<void> {
  await backUpAt(world, Date.UTC(2026, 0, 1) + backups++ * 3_600_000, { settings });
}

/** True for the key of a chunk. */
export function isChunk(key: string | undefined): boolean {
  return key?.endsWith('.bin') === true;
}

/** The keys of all chunks in the bucket. */
export async function chunkKeys(world: World): Promise<readonly string[]> {
  return (await allKeys(world)).filter(isChunk);
}

/** The keys of the objects for which a thaw was requested, in order. A backup asks once for one that is not there, of a time before backups. */
export function requestedKeys(world: World): readonly string[] {
  return world.server.requests.flatMap(({ operation, key }) =>
    operation === 'RestoreObject' && key && !key.includes('-19700101T') ? [key] : [],
  );
}

/** Fails unless a thaw of every chunk was requested, and of none twice: each request is charged for. */
export async function assertRequestedOnce(world: World): Promise<void> {
  assert.deepEqual([...requestedKeys(world)].sort(), [...(await chunkKeys(world))].sort());
}

/** Fails unless a script ended with 5 and one line, which names what is missing. */
export function assertUnderWay(result: ScriptResult, pattern: RegExp): void {
  assert.equal(result.exitCode, 5, result.stderr);
  assert.equal(errorLines(result).length, 1, result.stderr);
  assert.match(errorLines(result)[0] ?? '', pattern);
}
