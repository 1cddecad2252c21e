/** SIGKILL at random moments of a backup of 300 MiB that is run again and again; `KILLS=40` kills more often than the default. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { HeadObjectCommand } from '@aws-sdk/client-s3';
import type { Manifest } from '../../lib/core/format/manifest.ts';
import type { DeterministicRandom } from '../../testing/harness/deterministic-random.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { createWorld, mustSucceed, readObject, type World } from '../end-to-end/world.ts';
import { numberOf, publishedBackup, restoreElsewhere, seededRandom, stages } from './sweep.ts';

const mib = 2 ** 20;
const partBytes = 5 * mib;
const concurrency = 4;

/** Runs the stages of a backup and kills whichever runs after a while; the one that was killed, or undefined if all were done. */
async function backUpAndKill(world: World, afterMs: number): Promise<string | undefined> {
  const config = await world.settingsFile();
  const killAt = performance.now() + afterMs;
  for (const script of stages) {
    const args = [`scripts/${script}`, '--config', config];
    const child = spawn('scripts/tsx.sh', args, { cwd: repositoryRoot, stdio: 'ignore' });
    const timer = setTimeout(() => child.kill('SIGKILL'), killAt - performance.now());
    const [exitCode, signal] = await once(child, 'exit');
    clearTimeout(timer);
    if (signal === 'SIGKILL') return script;
    assert.equal(exitCode, 0, script);
  }
  return undefined;
}

/** Bytes of chunks that the server received since a number of requests, without those of requests that only complete them. */
function chunkBytes(world: World, since: number): number {
  return world.server.requests
    .slice(since)
    .filter(({ key, operation }) => key?.endsWith('.bin') && operation !== 'CompleteMultipartUpload')
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

/** Looks at what is published, again and again; `stop` fails if it was not whole at any moment. */
function watchPublished(world: World): { stop: () => Promise<number> } {
  let stopped = false;
  const seen = new Set<string>();
  const watching = (async () => {
    let looks = 0;
    for (; !stopped; looks++) {
      const { pointer, manifest } = await publishedBackup(world);
      for (const { key: Key, size } of seen.has(pointer) ? [] : manifest.chunks) {
        const head = await world.client.send(new HeadObjectCommand({ Bucket: 'backups', Key }));
        assert.equal(head.ContentLength, size, Key);
      }
      seen.add(pointer);
      await sleep(20);
    }
    return looks;
  })();
  watching.catch(() => undefined);
  return {
    stop: () => {
      stopped = true;
      return watching;
    },
  };
}

async function sweep(t: TestContext, kills: number, random: DeterministicRandom): Promise<void> {
  // The chain grows with every backup that is not killed, and is restored beside its source.
  const world = await createWorld(t, { CONCURRENCY: `${concurrency}` }, 16 * 2 ** 30);
  let files = 0;
  const addData = (bytes: number) =>
    writeFile(join(world.data, `random-${files++}`), random.bytes(bytes + random.below(mib)));
  await addData(mib);
  await mustSucceed(world, 'snapshot.ts');
  const startedAt = performance.now();
  await mustSucceed(world, 'snapshot.ts');
  /** What a stage takes that has nothing to do: how fast this machine is just now. */
  const stageMs = performance.now() - startedAt;
  await world.backup();
  await addData(300 * mib);

  const before = world.server.requests.length;
  const chainBefore = (await publishedChain(world)).length;
  const killed: string[] = [];
  let published = 0;
  const watch = watchPublished(world);
  while (killed.length < kills) {
    const { pointer } = await publishedBackup(world);
    slowDown(world);
    const afterMs = Math.round((0.25 + random.below(500) / 100) * stageMs);
    const script = await backUpAndKill(world, afterMs);
    if (script) killed.push(`${script} after ${afterMs} ms`);
    world.server.faults.clear();
    if ((await publishedBackup(world)).pointer !== pointer) {
      assert.ok(script === undefined || script === 'manifest.ts', 'only the last stage publishes');
      published++;
      await addData(20 * mib);
    }
    await mustSucceed(world, 'verify.ts');
    if (killed.length % 8 === 0) await proveRestorable(world);
  }
  await world.backup();
  await world.backup();
  const looks = await watch.stop();
  t.diagnostic(`killed: ${killed.join(', ')}; published meanwhile: ${published}; looked at ${looks} times`);
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

test('whenever it is killed, the last backup stays restorable and the next run goes on', (t) =>
  sweep(t, numberOf('KILLS', 12), seededRandom(t, 'kills')));
