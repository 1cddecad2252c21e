/** The ground of one comparison: a data set on a filesystem of its own, its snapshot and stream, a sink, and a backup in it. */
import { copyFile, mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SubvolumeKeys } from '../../../lib/core/format/names.ts';
import { GIB } from '../../../lib/core/units.ts';
import { canSendCompressed } from '../../../lib/edge/btrfs/btrfs.ts';
import { RunDirectory } from '../../../lib/edge/files/run-directory.ts';
import { createLoopFilesystem } from '../../harness/loop-filesystem.ts';
import { shell } from '../../harness/processes/shell.ts';
import { writeSettings } from '../../harness/settings-file.ts';
import { repositoryRoot } from '../../harness/test-directory.ts';
import type { DataSet } from '../data-sets.ts';
import { type LineOptions, type RunningSink, startSink } from '../sink/start-sink.ts';
import { type MeasuredCommand, measure, toolCommand } from './meter.ts';
import type { Place } from './place.ts';

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
  /** Runs one of the tool's scripts as make does. */
  readonly tool: Tool;
  /** The same for the other checkout that is measured beside this one, if there is one. */
  readonly baseline: Tool | undefined;
  /** Makes the upload begin anew: its snapshot is prepared, and nothing was ever uploaded. */
  readonly forgetUpload: () => Promise<void>;
}

/** Runs `scripts/SCRIPT.ts` with the settings of the ground. */
export type Tool = (script: string, ...args: readonly string[]) => MeasuredCommand;

/** What a comparison is made with. */
export interface GroundOptions {
  readonly set: DataSet;
  readonly sizeBytes: number;
  readonly line: LineOptions;
  /** Another checkout of the tool. */
  readonly baseline: string | undefined;
  readonly signal: AbortSignal;
}

const run = shell;
const prefix = 'bench';

/** Prepares the ground, works on it, and removes it, however the work ends. */
export async function withGround<Result>(
  { workspace, loopRoot }: Place,
  options: GroundOptions,
  work: (ground: Ground) => Promise<Result>,
): Promise<Result> {
  const { set, sizeBytes, line, baseline, signal } = options;
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
      const settings = await settingsFor(mountPoint, directory, sink, 'backup.env');
      const toolOf = (checkout: string) => toolWith(settings, environment, checkout);
      const tool = toolOf(repositoryRoot);
      await measure(tool('send-chunk-upload'), signal);
      await measure(tool('manifest'), signal);
      const runDirectory = join(directory, 'run');
      return await work({
        mountPoint,
        send,
        streamFile,
        streamBytes: (await stat(streamFile)).size,
        sink,
        chunkKey: new SubvolumeKeys(prefix, 'data').chunk('full', snapshot.createdAt, 0),
        environment,
        tool,
        baseline: baseline === undefined ? undefined : toolOf(baseline),
        async forgetUpload() {
          await rm(join(runDirectory, 'data'), { recursive: true, force: true });
          await mkdir(join(runDirectory, 'data'), { mode: 0o700 });
          await copyFile(join(directory, 'snapshot.json'), join(runDirectory, 'data/snapshot.json'));
        },
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
    const settings = await settingsFor(mountPoint, directory, sink, 'snapshot.env');
    const tool = toolWith(settings, { ...environment, ...sink.environment }, repositoryRoot);
    await measure(tool('snapshot'), signal);
  } finally {
    await sink.stop();
  }
  const runDirectory = join(directory, 'run');
  const file = await new RunDirectory(runDirectory, 'data').readSnapshot();
  if (!file) throw new Error('the tool has prepared no snapshot');
  await copyFile(join(runDirectory, 'data/snapshot.json'), join(directory, 'snapshot.json'));
  return { path: file.snapshot.path, createdAt: file.created_at };
}

/** Writes the settings, which are the tool's defaults where nothing else is said. @returns the path of their file */
async function settingsFor(
  mountPoint: string,
  directory: string,
  sink: RunningSink,
  name: string,
): Promise<string> {
  const settings = join(directory, name);
  await writeSettings({
    path: settings,
    subvolume: join(mountPoint, 'data'),
    snapshotDirectory: join(mountPoint, 'snapshots'),
    runDirectory: join(directory, 'run'),
    prefix,
    access: sink,
    more: { STORAGE_CLASS_CHUNKS: 'STANDARD' },
  });
  return settings;
}

function toolWith(settings: string, environment: Readonly<Record<string, string>>, checkout: string): Tool {
  return (script, ...args) => toolCommand(checkout, script, ['--config', settings, ...args], environment);
}
