import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { makeIdentity } from '../support/age-keys.ts';
import { createWorld, namesIn, type World } from './world.ts';

const mib = 2 ** 20;
/** Node itself has grown: with Node 20 the program keeps within 120 MiB, later ones take some 20 MiB more (measured). */
const programMib = Number(process.versions.node.split('.')[0]) > 20 ? 145 : 120;

test('upload and restore, as make runs them, take (CONCURRENCY + 1) parts and what the program may take at most', async (t) => {
  const [parts, partMib] = [5, 5];
  const world = await createWorld(t, {
    CHUNK_SIZE: '100MiB',
    PART_SIZE: `${partMib}MiB`,
    CONCURRENCY: `${parts - 1}`,
  });
  for (let written = 0; written < 200; written += 50)
    await appendFile(join(world.data, 'random'), randomBytes(50 * mib));
  await assertWithin(world, await world.settingsFile(), parts * partMib + programMib);
});

test('through a codec they take twice the parts', async (t) => {
  const [parts, partMib] = [5, 5];
  const settings = {
    CHUNK_SIZE: '100MiB',
    PART_SIZE: `${partMib}MiB`,
    CONCURRENCY: `${parts - 1}`,
    COMPRESS: 'zstd:1',
    COMPRESSED_SEND: 'false',
  };
  const world = await createWorld(t, settings);
  const { identity, recipient } = await makeIdentity(world.directory, 'identity');
  // Frames that are parts, and frames of which several are one.
  for (let written = 0; written < 200; written += 50) {
    await appendFile(join(world.data, 'random'), randomBytes(30 * mib));
    await appendFile(join(world.data, 'random'), Buffer.alloc(20 * mib));
  }
  const config = await world.settingsFile({ ENCRYPT_TO: recipient, DECRYPT_WITH: identity });
  await assertWithin(world, config, 2 * parts * partMib + programMib);
});

/** Backs up and restores, and fails when one of the processes takes more than it may. */
async function assertWithin(world: World, config: string, boundMib: number): Promise<void> {
  const peaks = new Map<string, number>();
  for (const target of ['snapshot', 'upload', 'publish', 'restore']) {
    const more = target === 'restore' ? ['SUBVOLUME=data', `TARGET=${join(world.mount, 'restored')}`] : [];
    peaks.set(target, await peakOf(target, `CONFIG=${config}`, ...more));
  }
  assert.deepEqual(await namesIn(join(world.mount, 'restored')), ['random']);
  for (const [target, peak] of peaks) {
    // A script that loads the SDK has some 60 MiB at least: less would mean that something else was measured.
    const isWithin = peak > 60 * mib && peak <= boundMib * mib;
    assert.ok(isWithin, `make ${target}: ${peak / mib} MiB of ${boundMib} MiB`);
  }
}

/** Peak memory, in bytes, of the node process that a make target runs; the kernel keeps the peak (VmHWM, proc(5)). */
async function peakOf(target: string, ...variables: readonly string[]): Promise<number> {
  const env = { PATH: process.env.PATH, AWS_EC2_METADATA_DISABLED: 'true' };
  const make = spawn('make', [target, ...variables], { cwd: repositoryRoot, stdio: 'ignore', env });
  const exited = new Promise<number | null>((resolve) => make.once('exit', resolve));
  let peak = 0;
  while (make.exitCode === null) {
    peak = Math.max(peak, ...nodesBelow(make).map(peakOfProcess));
    await sleep(10);
  }
  assert.equal(await exited, 0, `make ${target}`);
  return peak;
}

function nodesBelow({ pid }: ChildProcess): readonly number[] {
  const below = (parent: number): number[] => {
    const children = read(`/proc/${parent}/task/${parent}/children`).split(' ').filter(Boolean).map(Number);
    return [...children, ...children.flatMap(below)];
  };
  return pid === undefined ? [] : below(pid).filter(isNode);
}

/** By its arguments: node 24 gives its main thread another name. */
function isNode(pid: number): boolean {
  return basename(read(`/proc/${pid}/cmdline`).split('\0')[0] ?? '') === 'node';
}

function peakOfProcess(pid: number): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) * 1024;
}

/** Empty when the process has just ended. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
