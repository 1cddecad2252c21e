/**
 * SIGKILL at random moments of a backup that is run again and again. `KILLS=40` kills more often than the default; every
 * test kills a dozen times at most, so that none of them takes too long.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Manifest } from '../../lib/core/manifest.ts';
import type { DeterministicRandom } from '../../testing/harness/deterministic-random.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { createWorld, mustSucceed, readObject, type World } from '../end-to-end/world.ts';
import { numberOf, publishedBackup, restoreElsewhere, seededRandom, stages } from './sweep.ts';

const mib = 2 ** 20;
const killsOfATest = 12;
const partBytes = 5 * mib;
const concurrency = 4;

/** How long each stage takes here, about; most kills meet the upload. */
const victims = [
  ...Array<Victim>(2).fill({ script: 'snapshot.ts', longestMs: 900 }),
  ...Array<Victim>(7).fill({ script: 'send-chunk-upload.ts', longestMs: 3500 }),
  ...Array<Victim>(3).fill({ script: 'manifest.ts', longestMs: 2400 }),
];

interface Victim {
  readonly script: (typeof stages)[number];
  readonly longestMs: number;
}

/** Runs a stage and kills it after a while; true when it was still running then. */
async function runAndKill(world: World, script: string, afterMs: number): Promise<boolean> {
  const args = ['--import', 'tsx', `scripts/${script}`, '--config', await world.settingsFile()];
  const child = spawn('node', args, { cwd: repositoryRoot, stdio: 'ignore' });
  const timer = setTimeout(() => child.kill('SIGKILL'), afterMs);
  const [exitCode, signal] = await once(child, 'exit');
  clearTimeout(timer);
  if (signal === null) assert.equal(exitCode, 0, script);
  return signal === 'SIGKILL';
}

/** Bytes of chunks that the server received since a number of requests. */
function chunkBytes(world: World, since: number): number {
  return world.server.requests
    .slice(since)
    .filter(({ key }) => key?.endsWith('.bin'))
    .reduce((sum, request) => sum + request.bytesReceived, 0);
}

/** Every backup from the published one back to the full. */
async function publishedChain(world: World): Promise<readonly Manifest[]> {
  const chain = [(await publishedBackup(world)).manifest];
  for (let parent = chain[0]?.parent_manifest; parent; parent = chain.at(-1)?.parent_manifest) {
    chain.push(JSON.parse(await readObject(world, parent)));
  }
  return chain;
}

/** Restores the published backup as another host would, and compares it with the snapshot that it is of. */
async function proveRestorable(world: World): Promise<void> {
  const { manifest } = await publishedBackup(world);
  const target = join(world.mount, 'restored');
  const restored = await restoreElsewhere(world, target);
  assert.equal(restored.exitCode, 0, restored.stderr);
  assert.deepEqual(await treeDigest(target), await treeDigest(manifest.snapshot.path));
  await shell`btrfs subvolume delete ${target}`;
}

/** Bytes are slow, and so is what makes a backup known, so that there is time to die in between. */
function slowDown(world: World): void {
  world.server.faults.set([
    { fault: 'slow', bytesPerSecond: 3 * mib, operation: ['UploadPart', 'PutObject'], key: '*.bin' },
    { fault: 'stall', ms: 150, operation: 'CompleteMultipartUpload' },
    { fault: 'stall', ms: 400, operation: 'PutObject', key: '*.json' },
  ]);
}

async function sweep(t: TestContext, kills: number, random: DeterministicRandom): Promise<void> {
  const world = await createWorld(t);
  let files = 0;
  const addData = (bytes: number) =>
    writeFile(join(world.data, `random-${files++}`), random.bytes(bytes + random.below(mib)));
  await addData(mib);
  await world.backup();
  await addData(100 * mib);

  const before = world.server.requests.length;
  const chainBefore = (await publishedChain(world)).length;
  const killed: string[] = [];
  let published = 0;
  while (killed.length < kills) {
    const { script: victim, longestMs } = victims[random.below(victims.length)] ?? assert.fail();
    const { pointer } = await publishedBackup(world);
    slowDown(world);
    let hit = false;
    for (const script of stages) {
      const afterMs = 250 + random.below(longestMs);
      if (script !== victim) {
        await mustSucceed(world, script);
        continue;
      }
      hit = await runAndKill(world, script, afterMs);
      if (!hit) continue;
      killed.push(`${script} after ${afterMs} ms`);
      break;
    }
    world.server.faults.clear();
    if ((await publishedBackup(world)).pointer !== pointer) {
      assert.ok(!hit || victim === 'manifest.ts', 'only the last stage publishes');
      published++;
      await addData(40 * mib);
    }
    await mustSucceed(world, 'verify.ts');
    if (killed.length % 4 === 0) await proveRestorable(world);
  }
  t.diagnostic(`killed: ${killed.join(', ')}; published meanwhile: ${published}`);

  await world.backup();
  await world.backup();
  await proveRestorable(world);
  await mustSucceed(world, 'verify.ts', '--deep');
  const leftovers = await shell({ nothrow: true })`pgrep -f ${`btrfs send.*${world.mount}`}`;
  assert.equal(leftovers.stdout, '', 'no btrfs send lives on');

  const chain = await publishedChain(world);
  const stream = chain
    .slice(0, chain.length - chainBefore)
    .reduce((sum, { total_bytes: bytes }) => sum + bytes, 0);
  const sent = chunkBytes(world, before);
  // Only what was in flight when an upload died may be sent again.
  const uploadsKilled = killed.filter((what) => what.startsWith('send-chunk-upload.ts')).length;
  const bound = stream + uploadsKilled * (concurrency + 1) * partBytes;
  t.diagnostic(`${sent} bytes were sent for streams of ${stream}; ${bound} are allowed`);
  assert.ok(sent <= bound, `${sent} bytes for streams of ${stream}`);
}

const total = numberOf('KILLS', killsOfATest);
for (let done = 0, round = 1; done < total; done += killsOfATest, round++) {
  const kills = Math.min(killsOfATest, total - done);
  test(`whenever it is killed, the last backup stays restorable and the next run goes on: round ${round}`, (t) =>
    sweep(t, kills, seededRandom(t, `kills, round ${round}`)));
}
