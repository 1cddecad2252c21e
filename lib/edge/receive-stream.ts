/** `btrfs receive` as a sink of bytes, confined to a directory. */
import { ToolError } from '../core/errors.ts';
import { startStreamChild } from './child.ts';

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

/** Starts `btrfs receive --chroot`, which cannot write outside the directory (btrfs-receive(8)). */
export function openReceiveStream(directory: string): ReceiveStream {
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
        await child.finished;
        throw new ToolError('btrfs receive stopped reading before the stream ended', { cause });
      }
    },
    async finish() {
      input.end();
      await child.finished;
    },
    async close() {
      await child.stop();
    },
  };
}
