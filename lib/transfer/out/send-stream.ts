/**
 * `btrfs send` as a source of bytes. The end of its output means nothing until it has exited 0: only then is `ended`
 * reported, so whatever waits for the end of the stream waits for the exit code too.
 */

import { ToolError } from '../../core/errors.ts';
import { printable } from '../../core/printable.ts';
import type { ByteSource } from '../../core/stream/chunker.ts';
import { findUnreadable } from '../../edge/btrfs/find-unreadable.ts';
import { throughOneMount } from '../../edge/btrfs/mounts/one-mount.ts';
import { pathExists } from '../../edge/files/files.ts';
import { startStreamChild } from '../../edge/process/child.ts';
import { closeWriteEnd, openPipe, PipeReader } from './pipe-reader.ts';

/** What to send, and how. */
export interface SendRequest {
  readonly snapshotPath: string;
  readonly parentPath: string | undefined;
  /** `--proto 2 --compressed-data`: extents travel as they lie on disk (btrfs-send(8)). */
  readonly compressedData: boolean;
  /** For the pipe's name, for a moment. */
  readonly directory: string;
}

/** A running `btrfs send`. */
export interface SendStream extends ByteSource {
  /** Ends the child, if it still runs, and waits for it. */
  close(): Promise<void>;
}

/**
 * Starts `btrfs send`.
 * @throws ToolError when no mount shows snapshot and parent; from `fill` when the child fails, ends early or sends nothing.
 */
export async function openSendStream(request: SendRequest, signal: AbortSignal): Promise<SendStream> {
  const { snapshotPath, parentPath } = await readablePaths(request);
  const pipe = await openPipe(request.directory);
  const args = [
    'send',
    '--quiet',
    ...(request.compressedData ? ['--proto', '2', '--compressed-data'] : []),
    ...(parentPath === undefined ? [] : ['-p', parentPath]),
    '--',
    snapshotPath,
  ];
  const child = startStreamChild(`btrfs send of ${request.snapshotPath}`, 'btrfs', args, [
    'ignore',
    pipe.writeDescriptor,
  ]);
  closeWriteEnd(pipe);
  const reader = new PipeReader(pipe.readDescriptor);
  // The child too: it may have closed its output and still not have exited, which `fill` waits for.
  const abort = () => {
    reader.fail(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
    void child.stop();
  };
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  let totalBytes = 0;
  return {
    async fill(target, onFilled) {
      const filled = await reader.fill(target, onFilled);
      totalBytes += filled.bytes;
      if (filled.ended) {
        await child.finished.catch(async (error: unknown) => {
          signal.throwIfAborted();
          throw await explainFailure(error, request);
        });
        if (totalBytes === 0) throw new ToolError(`btrfs send of ${request.snapshotPath} sent nothing`);
      }
      return filled;
    },
    async close() {
      signal.removeEventListener('abort', abort);
      reader.fail(new Error('the stream is closed'));
      await child.stop();
    },
  };
}

/** Paths that `btrfs send` takes. What is gone it names itself. */
async function readablePaths({
  snapshotPath,
  parentPath,
}: SendRequest): Promise<Pick<SendRequest, 'snapshotPath' | 'parentPath'>> {
  const areHere =
    parentPath !== undefined && (await pathExists(snapshotPath)) && (await pathExists(parentPath));
  return areHere ? throughOneMount({ snapshotPath, parentPath }) : { snapshotPath, parentPath };
}

/** What to do about a child that failed: another backup where what it was to read is gone, else the same again. */
async function explainFailure(error: unknown, { snapshotPath, parentPath }: SendRequest): Promise<unknown> {
  // One that could not even start has its own advice.
  if (!(error instanceof ToolError) || error.cause !== undefined) return error;
  const words = { childOutput: error.childOutput ?? '', cause: error };
  for (const path of [snapshotPath, parentPath]) {
    if (path === undefined || (await pathExists(path))) continue;
    return new ToolError(`btrfs send failed: the snapshot ${path} no longer exists`, {
      hint: 'run: make backup; it abandons this backup and starts another',
      ...words,
    });
  }
  if (/Input\/output error|Structure needs cleaning/.test(error.childOutput ?? '')) {
    const file = await findUnreadable(snapshotPath).catch(() => undefined);
    const what = file === undefined ? `something in ${snapshotPath}` : printable(file);
    return new ToolError(`btrfs send failed: ${what} cannot be read`, {
      hint: `dmesg says why, and btrfs scrub mends it where there is another copy; otherwise replace it, delete the snapshot ${snapshotPath}, and run make backup`,
      ...words,
    });
  }
  return new ToolError(error.message, {
    hint: [error.hint, 'run make backup again; it resumes from what is uploaded'].filter(Boolean).join('; '),
    ...words,
  });
}
