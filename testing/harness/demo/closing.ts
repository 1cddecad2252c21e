/** The end of a demonstration: where everything is, what was proved, and how to go on by hand. */
import { once } from 'node:events';
import { formatCount, formatDuration, formatSize } from '../../../lib/core/units.ts';
import type { BucketAccess } from '../servers/bucket-access.ts';
import { fromRoot } from '../workspace.ts';
import { beginStep, type Scene } from './scene.ts';

/** Shows the places of the demonstration and every object of its bucket. */
export async function showPlaces(scene: Scene, server: BucketAccess): Promise<void> {
  const { narrator, places, bucket } = scene;
  beginStep(scene, 'Where everything is');
  for (const [name, path] of [
    ['settings', places.settings],
    ['filesystem', places.mountPoint],
    ['restored', places.restored],
    ['S3 data', places.serverData],
  ] as const) {
    narrator.fact(`${name.padEnd(12)}${fromRoot(path)}`);
  }
  const entries = await bucket.list();
  const total = entries.reduce((sum, { size }) => sum + size, 0);
  narrator.say('');
  narrator.fact(
    `the bucket "${server.bucket}": ${formatCount(entries.length, 'object')}, ${formatSize(total)}`,
  );
  for (const { key, size } of entries) narrator.fact(`${formatSize(size).padStart(10)}  ${key}`);
}

/** Says what was proved, and in what time. */
export function showProofs({ narrator }: Scene, seconds: number): void {
  narrator.say('');
  narrator.say(`Proved, ${formatDuration(seconds)} after the first step began:`);
  for (const { step, claim } of narrator.proofs) narrator.say(`  ✓ ${claim} (step ${step})`);
}

/** Leaves everything in place, says how to use it, and waits until the run is stopped. */
export async function keepUntilStopped({ narrator, places, signal }: Scene): Promise<void> {
  const config = `CONFIG=${fromRoot(places.settings)}`;
  narrator.say('');
  narrator.say(
    'Kept: the filesystem, the server and the settings. Go on in another terminal, as root, such as with',
  );
  for (const line of [
    `make list ${config}`,
    `make verify ${config}`,
    `make restore ${config} SUBVOLUME=data TARGET=${places.restored}/again`,
    `ls -la ${places.restored}/newest`,
    `btrfs subvolume create ${places.data}   # then: make backup ${config}`,
  ]) {
    narrator.say(`  ${line}`);
  }
  narrator.say(`Ctrl-C here, or "kill ${process.pid}", removes everything.`);
  if (!signal.aborted) {
    // The event alone does not keep a process alive.
    const alive = setInterval(() => undefined, 2 ** 30);
    await once(signal, 'abort');
    clearInterval(alive);
  }
}
