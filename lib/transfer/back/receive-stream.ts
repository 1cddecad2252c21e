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
 * @param lock an open file with a lock that the child holds as well: it outlives a killed process by what is in its pipe.
 * @param place what people know of the directory's filesystem, for messages: the directory is one of ours.
 */
export function openReceiveStream(
  directory: string,
  signal?: AbortSignal,
  { lock, place = directory }: { readonly lock?: number; readonly place?: string } = {},
): ReceiveStream {
  const child = startStreamChild(
    'btrfs receive',
    'btrfs',
    ['receive', '--quiet', '--chroot', '--', directory],
    ['pipe', 'ignore'],
    lock,
  );
  const input = child.process.stdin;
  if (!input) throw new Error('btrfs receive has no stdin');
  // EPIPE: the child is gone; `finished` has its exit code and its words, which say more.
  input.on('error', () => undefined);
  const finished = child.finished.catch((error: unknown) => {
    signal?.throwIfAborted();
    throw explainFailure(error, place);
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

/** What `btrfs receive` may run into that its own words do not explain; the first that fits counts. */
const knownFailures: readonly {
  readonly words: RegExp;
  readonly what: (place: string) => string;
  readonly hint: string;
}[] = [
  {
    words: /setxattr .*No space left on device|symlink .*File name too long/,
    what: (place) =>
      `an extended attribute or symbolic link does not fit the metadata nodes of the filesystem of ${place}`,
    hint: 'choose a TARGET on a filesystem with larger nodes: mkfs.btrfs -n 16384 is the default',
  },
  {
    words: /btrfs\.compression.*Invalid argument/,
    what: (place) => `the filesystem of ${place} takes no compression property`,
    hint: 'mount it without nodatacow and nodatasum, and run again',
  },
  {
    words: /posix_acl.*Operation not supported/,
    what: (place) => `the filesystem of ${place} takes no ACL`,
    hint: 'mount it without noacl, and run again',
  },
  {
    words: /stream version \d+ not supported/,
    what: () => 'this btrfs-progs is too old for the stream',
    hint: 'update btrfs-progs, or restore on another host',
  },
  {
    words: /changed your default subvolume or you specify other subvolume/,
    what: (place) => `it does not find the parent by the mount of ${place}`,
    hint: 'mount the top level of the filesystem (mount -o subvolid=5), and name a TARGET below that',
  },
  {
    words: /Input\/output error|Structure needs cleaning|Read-only file system/,
    what: (place) => `the filesystem of ${place} has an error`,
    hint: 'dmesg says which; choose a TARGET on a sound filesystem',
  },
  {
    words: /No space left on device|Disk quota exceeded/,
    what: (place) => `the filesystem of ${place} is full`,
    hint: 'make room there, or choose a TARGET on another filesystem, and run again',
  },
];

/** Says in the line what is known of the child's words, which are below it, shortened: a name or value may have kilobytes. */
function explainFailure(error: unknown, place: string): unknown {
  // One that could not even start has its own advice.
  if (!(error instanceof ToolError) || error.cause !== undefined) return error;
  const said = error.childOutput ?? '';
  const known = knownFailures.find(({ words }) => words.test(said));
  const wasEnded = error.hint !== undefined || error.message.includes('was killed by');
  const again = [error.hint, 'run the same command again'].filter(Boolean).join('; ');
  return new ToolError(known ? `btrfs receive failed: ${known.what(place)}` : error.message, {
    hint: known?.hint ?? (wasEnded ? again : 'make verify DEEP=1 shows whether the backup is sound'),
    childOutput: said.split('\n').map(shorten).join('\n'),
    cause: error,
  });
}

const mostShown = 300;

function shorten(line: string): string {
  if (line.length <= mostShown) return line;
  return `${line.slice(0, mostShown / 2)} … ${line.slice(-mostShown / 2)}`;
}
