/** SIGKILL at random moments of the restore of a chain of five, which is run again and again until it is done. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { pathExists } from '../../lib/edge/files/files.ts';
import type { DeterministicRandom } from '../../testing/harness/deterministic-random.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import type { FaultRule } from '../../testing/s3-server/faults/fault-rules.ts';
import { runScript } from '../support/script-within.ts';
import { type BackedUp, backUpFive, fetchedBytes } from './chain-of-five.ts';
import { processesAbout, until } from './running-script.ts';
import { hostIn } from './within-process.ts';
import { createWorld, namesIn, type World } from './world.ts';

const mib = 2 ** 20;
const partBytes = 5 * mib;
const concurrency = 2;

/** How restores are killed. */
export interface Killing {
  readonly kills: number;
  readonly random: DeterministicRandom;
  /** Parts of the stream under way are kept. */
  readonly spools: boolean;
  /** Of ten requests for bytes one fails. */
  readonly hasFaults?: boolean;
  /** The restored data are to go on with the chain. */
  readonly continues?: boolean;
  /** Bytes that each of the five brings, about. */
  readonly bytes: number;
}

/** Slow enough for a restore to be killed in the middle of each stream. */
const slow: FaultRule = { fault: 'slow', bytesPerSecond: 12 * mib, operation: 'GetObject', key: '*.bin' };

const oneInTen: readonly FaultRule[] = [
  { fault: 'error', code: 'InternalError', operation: 'GetObject', every: 20 },
  { fault: 'reset-before', operation: 'GetObject', every: 40 },
  { fault: 'truncate', bytes: mib, operation: 'GetObject', key: '*.bin', every: 40 },
  { fault: 'corrupt', operation: 'GetObject', key: '*.bin', every: 60 },
];

/** Restores, killed after a while. @returns false when it was killed before it had come to its end */
async function restoreAndKill(world: World, args: readonly string[], afterMs: number): Promise<boolean> {
  const child = spawn('scripts/tsx.sh', ['scripts/restore.ts', ...args], {
    cwd: repositoryRoot,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env.PATH, HOME: '/nonexistent', AWS_EC2_METADATA_DISABLED: 'true' },
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), afterMs);
  const [exitCode, signal] = await once(child, 'exit');
  clearTimeout(timer);
  if (signal === 'SIGKILL') return false;
  // It was killed when all was done, but for saying so.
  const wasDone = exitCode === 2 && /exists already/.test(said) && !(await hasStaging(world));
  assert.ok(exitCode === 0 || wasDone, `exit code ${exitCode}: ${said}`);
  return true;
}

async function hasStaging({ mount }: World): Promise<boolean> {
  return (await namesIn(mount)).some((name) => name.startsWith('.btrfs-to-s3-restore-'));
}

/** Proves that the restored tree is the backup to the bit, and that nothing else is left of its restores; then removes it. */
async function proveAndRemove(world: World, target: string, last: BackedUp, killing: Killing): Promise<void> {
  assert.deepEqual(await treeDigest(target), last.tree);
  assert.deepEqual(await namesIn(world.mount), ['data', 'restored', 'snapshots']);
  await until('no child lives on', async () => (await processesAbout(world.mount)).length === 0);
  const spool = join(world.directory, 'spool');
  if (await pathExists(spool)) assert.deepEqual(await readdir(spool), []);
  const copies = (await namesIn(world.snapshots)).filter((name) => name.includes('__restored'));
  assert.equal(copies.length, killing.continues ? 1 : 0, copies.join());
  for (const name of copies) await shell`btrfs subvolume delete ${join(world.snapshots, name)}`;
  await shell`btrfs subvolume delete --commit-after ${target}`;
}

/** Kills restores and proves what comes of them. */
export async function killRestores(t: TestContext, killing: Killing): Promise<void> {
  const { kills, random, spools, hasFaults = false, continues = false, bytes } = killing;
  const world = await createWorld(t, { CONCURRENCY: `${concurrency}` });
  const five = await backUpFive(world, await hostIn(world), bytes);
  const last = five.at(-1) ?? assert.fail();
  const target = join(world.mount, 'restored');
  const config = await world.settingsFile(spools ? { SPOOL_DIR: join(world.directory, 'spool') } : {});
  const args = ['--config', config, '--subvolume', 'data', '--target', target, '--verify', 'none'];
  if (continues) args.push('--continue');
  world.server.faults.set([...(hasFaults ? oneInTen : []), slow]);

  const startedMs = performance.now();
  assert.equal(await restoreAndKill(world, args, 600_000), true);
  /** What a restore takes that is not killed: how fast this machine is just now. */
  const wholeMs = performance.now() - startedMs;
  await proveAndRemove(world, target, last, killing);

  const since = world.server.requests.length;
  let [killed, done] = [0, 0];
  const afterMs: number[] = [];
  while (killed < kills) {
    const after = Math.round((0.1 + random.below(1000) / 1000) * wholeMs * 0.7);
    afterMs.push(after);
    if (await restoreAndKill(world, args, after)) {
      done++;
      await proveAndRemove(world, target, last, killing);
    } else killed++;
  }
  world.server.faults.set(hasFaults ? oneInTen : []);
  await restoreAndKill(world, args, 600_000);
  done++;
  await proveAndRemove(world, target, last, killing);

  const sizes = five.map(({ manifest }) => manifest.total_bytes);
  const chain = sizes.reduce((sum, size) => sum + size, 0);
  const again = spools ? (concurrency + 1) * partBytes : Math.max(...sizes);
  const fetched = fetchedBytes(world, since);
  t.diagnostic(
    `killed after ${afterMs.join(', ')} ms; a whole one takes ${Math.round(wholeMs)} ms, and ${done} came to their end`,
  );
  t.diagnostic(`${fetched} bytes were fetched; ${done} times the chain are ${done * chain}`);
  // What fails is asked for again, whoever is killed.
  const bound = (hasFaults ? 1.25 : 1) * done * chain + kills * again;
  assert.ok(fetched <= bound, `${fetched} bytes where ${bound} are allowed`);
  const left = await runScript('list.ts', ['--config', config]);
  // Of this filesystem: others of this machine may be in use.
  assert.ok(!left.stderr.includes(world.mount), left.stderr);
}
