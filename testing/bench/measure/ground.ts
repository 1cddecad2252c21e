/** The ground of one comparison: a data set on a filesystem of its own, its snapshot and stream, a sink, and a backup in it. */
import { copyFile, mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SubvolumeKeys } from '../../../lib/core/format/names.ts';
import { GIB } from '../../../lib/core/units.ts';
import { canSendCompressed } from '../../../lib/edge/btrfs/btrfs.ts';
import { RunDirectory } from '../../../lib/edge/files/run-directory.ts';
import { createLoopFilesystem } from '../../harness/loop-filesystem.ts';
import { shell } from '../../harness/processes/shell.ts';
import { repositoryRoot } from '../../harness/test-directory.ts';
import type { DataSet } from '../data-sets.ts';
import { type LineOptions, type RunningSink, startSink } from '../sink/start-sink.ts';
import { measure } from './meter.ts';
import type { Place } from './place.ts';
import {
  makeVariant,
  makeVariants,
  snapshotFileName,
  type Variant,
  type VariantOptions,
} from './variants.ts';

/** What the candidates work on. */
export interface Ground {
  /** A folder of the filesystem that holds the data. */
  readonly mountPoint: string;
  /** Arguments of `btrfs` that send the snapshot as the tool does. */
  readonly send: readonly string[];
  /** The stream in a file; it is also what the sink gives for `chunkKey`. */
  readonly streamFile: string;
  readonly streamBytes: number;
  readonly sink: RunningSink;
  readonly chunkKey: string;
  /** What the commands see of the environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** The tool, in all ways in which it is measured; each has a backup in the sink. */
  readonly variants: readonly Variant[];
}

/** What a comparison is made with. */
export interface GroundOptions {
  readonly set: DataSet;
  readonly sizeBytes: number;
  readonly line: LineOptions;
  readonly variants: VariantOptions;
  readonly signal: AbortSignal;
}

const run = shell;

/** Prepares the ground, works on it, and removes it, however the work ends. */
export async function withGround<Result>(
  { workspace, loopRoot }: Place,
  options: GroundOptions,
  work: (ground: Ground) => Promise<Result>,
): Promise<Result> {
  const { set, sizeBytes, line, signal } = options;
  const directory = join(workspace.directory, set.name);
  await mkdir(directory, { mode: 0o700 });
  const filesystem = await createLoopFilesystem({
    name: 'bench',
    root: loopRoot,
    // Twice the data, and what Btrfs wants for itself; the file is sparse.
    sizeBytes: Math.ceil(2.5 * sizeBytes) + 2 * GIB,
    mountOptions: set.mountOptions,
  });
  try {
    const { mountPoint } = filesystem;
    await run`btrfs subvolume create ${join(mountPoint, 'data')}`;
    await mkdir(join(mountPoint, 'snapshots'), { mode: 0o700 });
    await set.fill(join(mountPoint, 'data'), sizeBytes, signal);
    await run`btrfs filesystem sync ${mountPoint}`;
    signal.throwIfAborted();
    const start = (stream?: string) => startSink(line, directory, workspace.environment, stream);
    const snapshot = await prepareSnapshot(mountPoint, directory, workspace.environment, start, signal);
    const compressed = (await canSendCompressed()) ? ['--proto', '2', '--compressed-data'] : [];
    const send = ['send', '--quiet', ...compressed, '--', snapshot.path];
    const streamFile = join(directory, 'stream');
    // This also reads the data once, so that the first round finds the page cache as the others do.
    await run`btrfs ${send} > ${streamFile}`;
    const sink = await start(streamFile);
    try {
      const environment = { ...workspace.environment, ...sink.environment };
      const place = { mountPoint, directory, access: sink, environment };
      const variants = await makeVariants(place, options.variants);
      for (const { tool, forgetUpload } of variants) {
        await forgetUpload();
        await measure(tool('send-chunk-upload'), signal);
        await measure(tool('manifest'), signal);
      }
      return await work({
        mountPoint,
        send,
        streamFile,
        streamBytes: (await stat(streamFile)).size,
        sink,
        chunkKey: new SubvolumeKeys(variants[0]?.prefix ?? '', 'data').chunk('full', snapshot.createdAt, 0),
        environment,
        variants,
      });
    } finally {
      await sink.stop();
    }
  } finally {
    await filesystem.remove();
    await rm(directory, { recursive: true, force: true });
  }
}

/** Has the tool take the snapshot; a copy of what it leaves for the upload goes to `snapshot.json`. */
async function prepareSnapshot(
  mountPoint: string,
  directory: string,
  environment: Readonly<Record<string, string>>,
  start: () => Promise<RunningSink>,
  signal: AbortSignal,
): Promise<{ readonly path: string; readonly createdAt: string }> {
  const sink = await start();
  try {
    const all = { ...environment, ...sink.environment };
    const place = { mountPoint, directory, access: sink, environment: all };
    const about = { name: 'snapshot', checkout: repositoryRoot, settings: {} };
    const { tool } = await makeVariant(place, about);
    await measure(tool('snapshot'), signal);
  } finally {
    await sink.stop();
  }
  const runDirectory = new RunDirectory(join(directory, 'run-snapshot'), 'data');
  const file = await runDirectory.readSnapshot();
  if (!file) throw new Error('the tool has prepared no snapshot');
  await copyFile(join(runDirectory.path, snapshotFileName), join(directory, snapshotFileName));
  return { path: file.snapshot.path, createdAt: file.created_at };
}
