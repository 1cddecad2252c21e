/** How long a send stream will be, without sending it: metadata alone is read. */
import { createInterface } from 'node:readline';
import { ExtentTally, type NewExtents } from '../../core/format/new-extents.ts';
import { unbroken } from '../../core/stream/restart-watch.ts';
import { StreamEstimator } from '../../core/stream/stream-estimate.ts';
import { startStreamChild } from '../process/child.ts';
import { throughOneMount } from './mounts/one-mount.ts';

/** What would be sent. */
export interface StreamToMeasure {
  /** A read-only snapshot. */
  readonly snapshotPath: string;
  readonly parentPath: string | undefined;
  /** Extents travel as they lie on disk. */
  readonly compressedData: boolean;
}

/**
 * Measures a stream by `btrfs send --no-data`. Compressed extents count with their plain length.
 * @throws ToolError when btrfs send fails, or no mount shows snapshot and parent
 */
export async function measureStream(
  { snapshotPath, parentPath, compressedData }: StreamToMeasure,
  signal: AbortSignal,
): Promise<{ readonly dataBytes: number; readonly otherBytes: number }> {
  const readable =
    parentPath === undefined ? { snapshotPath } : await throughOneMount({ snapshotPath, parentPath });
  const args = [
    'send',
    '--quiet',
    '--no-data',
    ...(compressedData ? ['--proto', '2', '--compressed-data'] : []),
    ...('parentPath' in readable ? ['-p', readable.parentPath] : []),
    '--',
    readable.snapshotPath,
  ];
  return unbroken(async () => {
    const estimator = new StreamEstimator();
    await readingChild(`btrfs send --no-data of ${snapshotPath}`, args, signal, async (stdout) => {
      for await (const bytes of stdout) estimator.push(bytes as Uint8Array);
    });
    return estimator.finish();
  });
}

/**
 * File data of a subvolume or snapshot that is newer than a generation (0: all), by `btrfs subvolume find-new`. What is not on disk yet
 * is not counted, nor are holes that an increment has to write as zeros.
 * @throws ToolError when it fails
 */
export async function findNewExtents(
  path: string,
  sinceGeneration: number,
  signal: AbortSignal,
): Promise<NewExtents> {
  // find-new lists what is of the generation that it is given as well.
  const args = ['subvolume', 'find-new', path, String(sinceGeneration + 1)];
  const tally = new ExtentTally();
  await readingChild('btrfs subvolume find-new', args, signal, async (stdout) => {
    for await (const line of createInterface({ input: stdout })) tally.add(line);
  });
  return tally.result();
}

async function readingChild(
  name: string,
  args: readonly string[],
  signal: AbortSignal,
  read: (stdout: NodeJS.ReadableStream) => Promise<void>,
): Promise<void> {
  signal.throwIfAborted();
  const child = startStreamChild(name, 'btrfs', args, ['ignore', 'pipe']);
  const stop = () => void child.stop();
  signal.addEventListener('abort', stop, { once: true });
  try {
    if (child.process.stdout) await read(child.process.stdout);
    await child.finished;
  } finally {
    signal.removeEventListener('abort', stop);
    await child.stop();
  }
  signal.throwIfAborted();
}
