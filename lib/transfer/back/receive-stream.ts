/** `btrfs receive` as a sink of bytes, confined to a directory. */
import { ToolError } from '../../core/errors.ts';
import { startStreamChild } from '../../edge/process/child.ts';

/** A running `btrfs receive`. */
export interface ReceiveStream {
  /**
   * Hands bytes over; resolves when the kernel has taken them, so that the memory can be used again.
   * @throws ToolError when the child has failed.
   */
  write(bytes: Uint8Array): Promise<void>;
  /**
   * Says that the stream is complete and waits for exit code 0.
   * @throws ToolError when the child fails.
   */
  finish(): Promise<void>;
  /** Ends the child, if it still runs, and waits for it. */
  close(): Promise<void>;
}

/**
 * Starts `btrfs receive --chroot`, which cannot write outside the directory (btrfs-receive(8)). An aborted signal ends it, and
 * its reason is what waiting calls are rejected with.
 */
export function openReceiveStream(directory: string, signal?: AbortSignal): ReceiveStream {
  const child = startStreamChild(
    'btrfs receive',
    'btrfs',
    ['receive', '--quiet', '--chroot', '--', directory],
    ['pipe', 'ignore'],
  );
  const input = child.process.stdin;
  if (!input) throw new Error('btrfs receive has no stdin');
  // EPIPE: the child is gone; `finished` has its exit code and its words, which say more.
  input.on('error', () => undefined);
  const finished = child.finished.catch((error: unknown) => {
    signal?.throwIfAborted();
    throw explainFailure(error, directory);
  });
  finished.catch(() => undefined);
  // A child that does not read would otherwise keep a write, and with it the run, for ever.
  const abort = () => void child.stop();
  if (signal?.aborted) abort();
  else signal?.addEventListener('abort', abort, { once: true });
  return {
    async write(bytes) {
      const written = new Promise<void>((resolve, reject) => {
        input.write(bytes, (error) => {
          if (error) reject(error);
          // Node calls a write well done that was under way when its pipe was closed.
          else if (input.destroyed) reject(new Error('the pipe was closed'));
          else resolve();
        });
      });
      try {
        await written;
      } catch (cause) {
        await finished;
        throw new ToolError('btrfs receive stopped reading before the stream ended', { cause });
      }
    },
    async finish() {
      input.end();
      await finished;
    },
    async close() {
      signal?.removeEventListener('abort', abort);
      await child.stop();
    },
  };
}

/** A full disk, which users meet most, has to be in the line itself, with the place; the child's words are below it. */
function explainFailure(error: unknown, directory: string): unknown {
  if (!(error instanceof ToolError) || error.hint !== undefined) return error;
  const words = { childOutput: error.childOutput ?? '', cause: error };
  if (/No space left on device|Disk quota exceeded/.test(words.childOutput)) {
    return new ToolError(`btrfs receive failed: the filesystem of ${directory} is full`, {
      hint: 'make room there, or choose a TARGET on another filesystem, and run again',
      ...words,
    });
  }
  return new ToolError(error.message, {
    hint: 'nothing of it is left; run the same command again',
    ...words,
  });
}
