/** A demonstration from the first byte to the last: set the scene, play the acts, and clean up whatever happens. */
import { mkdir } from 'node:fs/promises';
import { formatSize } from '../../../lib/core/units.ts';
import { describeDigest } from '../digest-facts.ts';
import { createLoopFilesystem } from '../loop-filesystem.ts';
import { shell } from '../processes/shell.ts';
import { seedData } from '../seed-data.ts';
import type { BucketAccess } from '../servers/bucket-access.ts';
import { startServerProcess } from '../servers/local-server.ts';
import { writeSettings } from '../settings-file.ts';
import { treeDigest } from '../tree-digest.ts';
import { createWorkspace, fromRoot, sweepDeadWorkspaces } from '../workspace.ts';
import { playBackup } from './backup-act.ts';
import { openBucketView } from './bucket-view.ts';
import { keepUntilStopped, showPlaces, showProofs } from './closing.ts';
import type { Narrator } from './narrator.ts';
import { playRestore } from './restore-act.ts';
import { beginStep, placesOf, type Scene } from './scene.ts';

/** How to run it. */
export interface DemoOptions {
  readonly narrator: Narrator;
  readonly signal: AbortSignal;
  /** Wait at the end, with everything in place, until the run is stopped. */
  readonly keep: boolean;
}

const seed = 1;
const filesystemBytes = 1024 * 2 ** 20;
const dataBytes = 40 * 2 ** 20;
const cut = {
  CHUNK_SIZE: '8MiB',
  PART_SIZE: '5MiB',
  STORAGE_CLASS_CHUNKS: 'STANDARD',
  LOG_FORMAT: 'pretty',
};

/**
 * Runs the whole journey and removes all traces of it.
 * @throws what went wrong first; where the run was stopped, its Stopped or what that broke.
 */
export async function runDemo({ narrator, signal, keep }: DemoOptions): Promise<void> {
  narrator.say(
    'btrfs-to-s3, the whole journey: a filesystem in a file, an S3 server on this machine, no account.',
  );
  narrator.say('Nothing outside testing/run/ is changed, and no byte leaves this machine.');
  if ((await sweepDeadWorkspaces('demo')) > 0)
    narrator.say('What an interrupted demonstration left was removed.');
  const workspace = await createWorkspace('demo');
  try {
    const filesystem = await createLoopFilesystem({ name: 'demo', sizeBytes: filesystemBytes });
    try {
      const { directory, environment } = workspace;
      const places = placesOf(directory, filesystem.mountPoint);
      const server = await startServerProcess({ directory: places.serverData, bucket: 'demo', environment });
      const bucket = openBucketView(server);
      try {
        const scene: Scene = { narrator, signal, places, bucket, environment };
        await play(scene, server, keep);
      } finally {
        bucket.close();
        await server.stop();
      }
    } finally {
      await filesystem.remove();
    }
  } finally {
    await workspace.remove();
  }
  narrator.say('');
  narrator.say('All of it was removed again. For your own data type: make init, then make backup');
}

async function play(scene: Scene, server: BucketAccess, keep: boolean): Promise<void> {
  const startedMs = performance.now();
  await setTheScene(scene, server);
  await playRestore(scene, await playBackup(scene, seed));
  await showPlaces(scene, server);
  showProofs(scene, (performance.now() - startedMs) / 1000);
  if (keep) await keepUntilStopped(scene);
}

async function setTheScene(scene: Scene, server: BucketAccess): Promise<void> {
  const { narrator, places } = scene;
  beginStep(scene, 'Make a Btrfs filesystem with data that backup tools get wrong');
  await shell`btrfs subvolume create ${places.data}`;
  await mkdir(places.snapshots, { mode: 0o700 });
  await seedData(places.data, { seed, files: 300, totalBytes: dataBytes });
  narrator.fact(
    `a filesystem of ${formatSize(filesystemBytes)} in a file; below, FS is where it is mounted:`,
  );
  narrator.fact(places.mountPoint);
  narrator.fact(`→ ${describeDigest(await treeDigest(places.data))}`);
  narrator.fact(
    '  among them names that are no UTF-8 or look like options, reflinks, holes, ACLs, setuid, times before 1970',
  );

  beginStep(scene, 'Start an S3 server on loopback, and write the settings');
  narrator.fact(`${server.endpoint}: checks signatures and checksums as S3 does; keys made for this run`);
  narrator.fact(`${fromRoot(places.settings)}, mode 0600:`);
  const lines = await writeSettings({
    path: places.settings,
    subvolume: places.data,
    snapshotDirectory: places.snapshots,
    runDirectory: places.runDirectory,
    prefix: 'my-host',
    access: server,
    more: cut,
  });
  for (const line of lines) narrator.answer(line);
}
