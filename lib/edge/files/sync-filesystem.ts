/**
 * Whether what was written to a filesystem has reached its disk. The kernel tells of a write that failed later, on a disk that is full or
 * failing below the filesystem, only who asks: `btrfs receive` and `btrfs filesystem sync` exit 0, and once the cache is gone the file is
 * empty (seen with kernel 6.18 on a thin image).
 */
import { ToolError } from '../../core/errors.ts';
import { command, commandError } from '../process/child.ts';
import { describeEnd } from '../process/child-end.ts';

/** How sync(1) says that a write has failed, below the filesystem or for want of room in it. */
const lostWrite =
  /^sync: error syncing .*: (Input\/output error|No space left on device|Disk quota exceeded)$/m;

/**
 * Waits until all that was written to the filesystem of a path is on disk.
 * @throws ToolError when some of it is lost, or that cannot be found out; kernels before 5.8 do not tell (syncfs(2))
 */
export async function syncFilesystem(path: string): Promise<void> {
  const { exitCode, signal, stderr } = await command`sync --file-system -- ${path}`;
  if (exitCode === 0) return;
  if (!lostWrite.test(stderr)) {
    const why = signal ? `: sync ${describeEnd(exitCode, signal).how}` : '';
    throw commandError(`cannot sync the filesystem of ${path}${why}`, stderr);
  }
  throw new ToolError(`not all that was written to ${path} has reached its disk`, {
    hint: 'the disk below that filesystem is full or failing, and dmesg says more: make room there, or choose another one, and run again',
    childOutput: stderr,
  });
}

/** To be called before writing: the kernel reports a lost write once, to the next sync, so an earlier one would be taken for one of ours. */
export async function forgetWriteErrors(path: string): Promise<void> {
  await syncFilesystem(path).catch(() => undefined);
}
