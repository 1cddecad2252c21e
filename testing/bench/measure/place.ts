/** Where a measurement works: a folder for its images and files, with room for them, that is gone in the end. */
import { lstat, mkdir, readFile, rmdir, statfs } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { formatSize, GIB } from '../../../lib/core/units.ts';
import { sweepStaleLoopFilesystems } from '../../harness/loop-filesystem.ts';
import { testDirectory } from '../../harness/test-directory.ts';
import { createWorkspace, sweepDeadWorkspaces, type Workspace } from '../../harness/workspace.ts';

/** A workspace, and where loop filesystems may be made. */
export interface Place {
  readonly workspace: Workspace;
  readonly loopRoot: string;
}

/** What has to be there before anything is made. */
export interface Needs {
  readonly diskBytes: number;
  readonly memoryBytes: number;
}

const folderName = 'btrfs-to-s3-bench';

/** The folder that is meant: the one that is named, TMPDIR, or testing/run/. */
export function parentDirectory(named: string | undefined): string {
  return resolve(named ?? (process.env.TMPDIR || testDirectory()));
}

/**
 * Makes a place below `parent`, works there, and removes it, however the work ends. What a killed run left is removed first.
 * @throws one line where disk or memory are too small.
 */
export async function withPlace<Result>(
  parent: string,
  needs: Needs,
  work: (place: Place) => Promise<Result>,
): Promise<Result> {
  const root = await ownFolder(parent);
  const loopRoot = join(root, 'loop');
  try {
    await sweepDeadWorkspaces('bench', root);
    await sweepStaleLoopFilesystems(loopRoot);
    await checkRoom(root, needs);
    const workspace = await createWorkspace('bench', root);
    try {
      return await work({ workspace, loopRoot });
    } finally {
      await workspace.remove();
    }
  } finally {
    // Another run beside this one may still need them.
    for (const folder of [loopRoot, root]) await rmdir(folder).catch(ignoreNotEmpty);
  }
}

/** TMPDIR is shared: a folder of that name that belongs to another user, or a link, is not used. */
async function ownFolder(parent: string): Promise<string> {
  const root = join(parent, folderName);
  await mkdir(root, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw new Error(`cannot make ${root}: ${error.code}`, { cause: error });
  });
  const found = await lstat(root);
  if (found.isDirectory() && found.uid === process.getuid?.()) return root;
  throw new Error(`${root} is not a folder of ours: remove it, or name another place with DIR=`);
}

async function checkRoom(root: string, { diskBytes, memoryBytes }: Needs): Promise<void> {
  const { bavail, bsize } = await statfs(root);
  const free = bavail * bsize;
  if (free < diskBytes) {
    throw new Error(
      `${root} has ${formatSize(free)} free, and ${formatSize(diskBytes)} are needed: name another place with DIR=, or less with SIZE=`,
    );
  }
  const available =
    Number(/^MemAvailable:\s+(\d+) kB$/m.exec(await readFile('/proc/meminfo', 'utf8'))?.[1]) * 1024;
  if (available < memoryBytes) {
    throw new Error(
      `${formatSize(available)} of memory are free, and ${formatSize(memoryBytes)} are needed: give less with SIZE=`,
    );
  }
}

/** Disk and memory for a comparison with data of so many bytes: source, restored copy and stream; the stream in the sink. */
export function needsOf(sizeBytes: number): Needs {
  return { diskBytes: 3 * sizeBytes + GIB, memoryBytes: sizeBytes + GIB };
}

function ignoreNotEmpty(error: NodeJS.ErrnoException): void {
  if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes(error.code ?? '')) throw error;
}
