/**
 * Btrfs filesystems for one run: a sparse image on a loop device, in a locked directory that no one else can look into. The kernel frees
 * the loop device at unmount (autoclear).
 */
import { lstat, mkdir, open, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ToolError } from '../../core/errors.ts';
import { formatSize } from '../../core/units.ts';
import { codeOf, fileError } from '../files/files.ts';
import { listAbandoned, makeLockedDirectory, type Swept, sweepAbandoned } from '../files/locked-directory.ts';
import { command } from '../process/child.ts';

const namePrefix = 'btrfs-to-s3-scratch-';
const fullHint = 'set SPOOL_DIR to a directory with room';

/**
 * Nodes of 64 KiB hold the extended attributes of any filesystem, and sectors of 4 KiB the extents of any: what a stream of a
 * filesystem with larger ones brings would otherwise be refused. What is thrown away needs no second copy of its metadata.
 */
const mkfsOptions = ['--quiet', '--nodiscard', '-m', 'single', '-s', '4096', '-n', '65536'];

/**
 * Nothing in it is run or obeyed, and nothing has to outlast a power cut. `discard` gives what is deleted in it back to the disk with the
 * next transaction; the discard=async of newer kernels takes minutes.
 */
const mountOptions = 'loop,nosuid,nodev,noexec,noatime,nobarrier,discard';

/** Attempts at unmounting what is in use, and the pause between them. */
const unmountAttempts = 10;
const unmountPauseMs = 200;
const formatAttempts = 10;

/** A mounted scratch filesystem. */
export interface ScratchFilesystem {
  readonly mountPoint: string;
  /** Unmounts it and removes the image. */
  remove(): Promise<void>;
}

/**
 * Makes and mounts one in a directory.
 * @param sizes of the image in bytes: the first that the filesystem below it takes
 * @throws ToolError; nothing is left then
 */
export async function makeScratchFilesystem(
  parent: string,
  sizes: readonly number[],
): Promise<ScratchFilesystem> {
  const directory = await makeLockedDirectory(parent, namePrefix).catch((cause: unknown) => {
    if (cause instanceof ToolError) throw cause;
    throw fileError(`cannot make a scratch filesystem in ${parent}`, cause, fullHint, fullHint);
  });
  const remove = async () => {
    await empty(directory.path);
    await directory.remove();
  };
  const [image, mountPoint] = [join(directory.path, 'image'), join(directory.path, 'mount')];
  try {
    await mkdir(mountPoint);
    await makeImage(image, sizes);
    const formatted = await format(image);
    if (formatted.exitCode !== 0) throw refused(`cannot make a Btrfs filesystem in ${image}`, formatted);
    const mounted = await command`mount -t btrfs -o ${mountOptions} --make-private -- ${image} ${mountPoint}`;
    if (mounted.exitCode !== 0) {
      throw refused(
        `cannot mount ${image} on a loop device`,
        mounted,
        'it needs root and loop devices, which containers often lack: run it on the host itself',
      );
    }
  } catch (error) {
    await remove();
    throw error;
  }
  return { mountPoint, remove };
}

/** Removes what killed runs have left in a directory: mounts, images and loop devices. */
export async function sweepScratchFilesystems(parent: string): Promise<Swept> {
  return sweepAbandoned(parent, namePrefix, empty);
}

/** Names of what killed runs have left in a directory; none where there is no such directory. */
export async function listAbandonedScratch(parent: string): Promise<readonly string[]> {
  return listAbandoned(parent, namePrefix).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return [];
    throw fileError(`cannot look into ${parent}`, error);
  });
}

async function makeImage(path: string, sizes: readonly number[]): Promise<void> {
  const file = await open(path, 'ax', 0o600);
  try {
    // On Btrfs: an image that is copied on write falls into pieces. Elsewhere, and without chattr(1), it is refused and does not matter.
    await command`chattr +C -- ${path}`;
    for (const [index, bytes] of sizes.entries()) {
      try {
        return await file.truncate(bytes);
      } catch (cause) {
        if (codeOf(cause) === 'EFBIG' && index + 1 < sizes.length) continue;
        throw fileError(`cannot make an image of ${formatSize(bytes)} at ${path}`, cause, fullHint, fullHint);
      }
    }
  } finally {
    await file.close();
  }
}

/** The image goes first: what is not written yet of a filesystem without a name need not be. */
async function empty(directory: string): Promise<void> {
  await rm(join(directory, 'image'), { force: true });
  const mountPoint = join(directory, 'mount');
  while (await isMounted(directory, mountPoint)) await unmount(mountPoint);
  await rmdir(mountPoint).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error;
  });
}

async function isMounted(directory: string, mountPoint: string): Promise<boolean> {
  const above = await lstat(directory);
  const status = await lstat(mountPoint).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error;
  });
  return status !== undefined && status.dev !== above.dev;
}

/** It may be in use, or what a killed run has started may still end: then its room is freed when they are gone. */
async function unmount(mountPoint: string): Promise<void> {
  for (let attempt = 1; attempt <= unmountAttempts; attempt++) {
    if ((await command`umount -- ${mountPoint}`).exitCode === 0) return;
    await sleep(unmountPauseMs);
  }
  const detached = await command`umount --lazy -- ${mountPoint}`;
  if (detached.exitCode !== 0) throw refused(`cannot unmount ${mountPoint}`, detached);
}

/** mkfs.btrfs looks at the loop devices of all mounts, and fails where one of them is detached at that moment. */
async function format(image: string): Promise<{ readonly exitCode: number | null; readonly stderr: string }> {
  for (let left = formatAttempts; ; left--) {
    const formatted = await command`mkfs.btrfs ${mkfsOptions} -- ${image}`;
    if (left === 1 || !/cannot check mount status/.test(formatted.stderr)) return formatted;
    await sleep(unmountPauseMs);
  }
}

function refused(message: string, { stderr }: { readonly stderr: string }, hint?: string): ToolError {
  const isMissing = /command not found/.test(stderr);
  const advice = isMissing ? 'install what it needs with: make setup' : hint;
  return new ToolError(message, { ...(advice && { hint: advice }), childOutput: stderr });
}
