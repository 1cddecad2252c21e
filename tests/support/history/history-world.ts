/** The world of one history: a source filesystem, a prefix in the bucket, what was published, and what is known to be damaged. */
import { setMaxListeners } from 'node:events';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from '../../../lib/core/format/manifest.ts';
import type { SelectedSubvolume } from '../../../lib/core/settings/rules.ts';
import type { SettingValues } from '../../../lib/core/settings/settings.ts';
import { type Bucket, openBucket } from '../../../lib/edge/s3/s3-client.ts';
import type { StageContext } from '../../../lib/stage/context.ts';
import { createLoopFilesystem } from '../../../testing/harness/loop-filesystem.ts';
import { repositoryRoot } from '../../../testing/harness/test-directory.ts';
import { settingsOf } from '../settings.ts';
import { btrfs, clearFilesystem } from './commands.ts';
import { account, bucketName, emptyPrefix, type Ground } from './ground.ts';
import type { TreeRecord } from './hands.ts';
import type { Switches } from './switches.ts';
import { Tally } from './tally.ts';

/** `live`: the tool takes the snapshots; `adopted`: others do; `received`: others send them here, as btrbk does. */
export type Mode = 'live' | 'adopted' | 'received';

/** How a world is set up. */
export interface Choices {
  readonly mode: Mode;
  readonly mountOptions: string;
  readonly keepSnapshots: number;
  readonly compressedSend: 'auto' | 'false';
}

/** A published backup, and the tree that it has to bring back. */
export interface Point {
  readonly key: string;
  readonly manifest: Manifest;
  readonly truth: TreeRecord;
}

/** The world. */
export interface HistoryWorld {
  readonly ground: Ground;
  readonly mode: Mode;
  readonly isOn: Switches;
  readonly bucket: Bucket;
  readonly context: StageContext;
  selected: SelectedSubvolume;
  readonly mount: string;
  readonly imagePath: string;
  readonly mountOptions: string;
  /** The subvolume that is edited; of another filesystem in mode `received`. */
  readonly live: string;
  /** Where the snapshots are that are sent. */
  readonly snapshots: string;
  /** Snapshots at the other host, in mode `received`. */
  readonly sent: string;
  /** Trees of finished uploads that may be published, by UUID and time of their snapshot. */
  readonly uploaded: Map<string, TreeRecord>;
  readonly points: Point[];
  /** Keys that the history itself has removed. */
  readonly lost: Set<string>;
  /** Keys of manifests that a prune has removed. */
  readonly pruned: Set<string>;
  /** Those that it had removed before the last backup was planned. */
  lostWhenPlanned: ReadonlySet<string>;
  readonly counters: { names: number; clockMs: number };
  readonly tally: Tally;
  /** Removes the world. */
  remove(): Promise<void>;
}

let worlds = 0;

/** Makes the world of a history. */
export async function makeWorld(ground: Ground, choices: Choices, isOn: Switches): Promise<HistoryWorld> {
  const { mode, mountOptions, keepSnapshots, compressedSend } = choices;
  const filesystem = await createLoopFilesystem({
    name: 'history-source',
    sizeBytes: 4 * 2 ** 30,
    ...(mountOptions && { mountOptions: mountOptions.split(',') }),
  });
  const { mountPoint: mount, imagePath } = filesystem;
  const host = mode === 'received' ? ground.elsewhere : mount;
  const [live, snapshots, sent] = [join(host, 'live'), join(mount, 'snapshots'), join(host, 'sent')];
  const prefix = `history-${++worlds}`;
  const runDirectory = join(ground.directory, prefix);
  try {
    await mkdir(snapshots);
    if (mode === 'received') await mkdir(sent);
    await btrfs('subvolume', 'create', live);
    const settings = settingsOf({
      S3_BUCKET: bucketName,
      S3_PREFIX: prefix,
      AWS_REGION: 'us-east-1',
      AWS_ENDPOINT_URL_S3: ground.server.endpoint,
      SUBVOLUMES: mode === 'live' ? `data=${live}` : `data=snapshots:${snapshots}/*`,
      SNAPSHOT_DIR: snapshots,
      RUN_DIR: runDirectory,
      CHUNK_SIZE: '5MiB',
      PART_SIZE: '5MiB',
      CONCURRENCY: '2',
      RETRY_FOR: '1s',
      STORAGE_CLASS_CHUNKS: 'STANDARD',
      KEEP_SNAPSHOTS: `${keepSnapshots}`,
      COMPRESSED_SEND: compressedSend,
    });
    const bucket = await openAs(settings);
    const counters = { names: 0, clockMs: 0 };
    const [selected] = settings.SUBVOLUMES ?? [];
    if (!selected) throw new Error('no subvolume is selected');
    return {
      ground,
      mode,
      isOn,
      bucket,
      context: contextOf(ground, settings, bucket, () => new Date(Date.now() + counters.clockMs)),
      selected,
      mount,
      imagePath,
      mountOptions,
      live,
      snapshots,
      sent,
      uploaded: new Map(),
      points: [],
      lost: new Set(),
      pruned: new Set(),
      lostWhenPlanned: new Set(),
      counters,
      tally: new Tally(),
      async remove() {
        try {
          ground.server.faults.clear();
          await emptyPrefix(bucket);
          bucket.close();
          ground.server.requests.length = 0;
          await rm(runDirectory, { recursive: true, force: true });
          await clearFilesystem(ground.elsewhere);
        } finally {
          await filesystem.remove();
        }
      },
    };
  } catch (error) {
    await filesystem.remove();
    throw error;
  }
}

/** The bucket as the tool opens it; no test waits long. */
function openAs(settings: SettingValues): Promise<Bucket> {
  Object.assign(process.env, {
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_ACCESS_KEY_ID: account.accessKeyId,
    AWS_SECRET_ACCESS_KEY: account.secretAccessKey,
  });
  return openBucket(settings, 'host', {
    signal: endless(),
    onRetry: () => undefined,
    onSlowDown: () => undefined,
    random: () => 0,
  });
}

/** A signal that never comes; many listen to it. */
function endless(): AbortSignal {
  const { signal } = new AbortController();
  setMaxListeners(0, signal);
  return signal;
}

/** A context as the scripts make it, without anything to print to. */
function contextOf(
  { memory }: Ground,
  settings: SettingValues,
  bucket: Bucket,
  now: () => Date,
): StageContext {
  return {
    settings,
    bucket,
    memory,
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined },
    startProgress: () => ({
      expect: () => undefined,
      add: () => undefined,
      waitFor: () => undefined,
      stop: () => undefined,
    }),
    signal: endless(),
    now,
    hostName: 'host',
    hostId: 'one',
    checkout: repositoryRoot,
  };
}

/** What snapshot.json says, as another program would read it. */
export async function readPlanned(
  world: HistoryWorld,
): Promise<
  { readonly id: string; readonly path: string; readonly parentPath: string | undefined } | undefined
> {
  const path = join(world.context.settings.RUN_DIR, 'data', 'snapshot.json');
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const { snapshot, parent, created_at } = JSON.parse(text);
  return { id: `${snapshot.uuid} ${created_at}`, path: snapshot.path, parentPath: parent?.path };
}
