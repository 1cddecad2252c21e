/** Whoever asks a second time does not want to wait. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { processesAbout, sendOfUpload, startScript, suspend, until, whileRunning } from './running-script.ts';
import { endOf, worldWithData } from './stopped-script.ts';
import { mustSucceed, namesIn } from './world.ts';

const mib = 2 ** 20;

test('a second signal does not wait for an orderly end', async (t) => {
  const world = await worldWithData(t);
  const config = await world.settingsFile();
  await mustSucceed(world, 'snapshot.ts');
  world.server.faults.set([
    { fault: 'slow', bytesPerSecond: mib / 16, operation: ['UploadPart', 'PutObject'] },
  ]);
  let send = 0;
  // It cannot end, so the first signal waits for it: for three seconds. A second within one counts as the same stop.
  const stopTwice = async () => {
    const running = startScript(world, config, 'send-chunk-upload.ts');
    await whileRunning(running, 'btrfs send', async () => {
      send = (await sendOfUpload(world.mount)) ?? 0;
      return send !== 0;
    });
    await suspend(send);
    const sentAtMs = performance.now();
    running.child.kill('SIGTERM');
    await sleep(300);
    running.child.kill('SIGTERM');
    await sleep(1000);
    const isWaiting = running.child.exitCode === null;
    running.child.kill('SIGINT');
    const ended = await endOf(running);
    const isLate = performance.now() - sentAtMs > 2900;
    try {
      process.kill(send, 'SIGCONT');
    } catch (error) {
      // After the three seconds it is killed.
      if (!isLate) throw error;
    }
    await until(
      'btrfs send is gone',
      async () => (await processesAbout(world.mount, 'btrfs send')).length === 0,
    );
    return { isWaiting, ended, isLate };
  };
  // On a busy machine the signals may come so late that the first has waited long enough. Then they say nothing.
  let stopped = await stopTwice();
  for (let tries = 1; stopped.isLate && tries < 10; tries += 1) stopped = await stopTwice();
  const { isWaiting, ended } = stopped;
  assert.ok(isWaiting, 'the first signal waits for btrfs send');
  assert.deepEqual([ended.exitCode, ended.signal], [130, null]);
  world.server.faults.clear();
  await world.backup();
  assert.deepEqual(
    await treeDigest(join(world.snapshots, (await namesIn(world.snapshots))[0] ?? '')),
    await treeDigest(world.data),
  );
});
