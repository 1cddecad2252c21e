/** Whether the filesystem of TARGET has the room that a restore takes: asked before anything is thawed or fetched. */
import { statfs } from 'node:fs/promises';
import { ToolError } from '../../core/errors.ts';
import type { StoredManifest } from '../../core/format/manifest.ts';
import { roomNeeded } from '../../core/plan/room.ts';
import { formatSize } from '../../core/units.ts';
import { waitUntilFreed } from '../../edge/btrfs/btrfs.ts';
import { compresses } from '../../edge/btrfs/mounts/mount-options.ts';
import type { StageContext } from '../context.ts';

/** Bytes that a stream brings: what it is in full, not what is stored of it. */
export function streamBytes({ manifest }: StoredManifest): number {
  return manifest.stream?.bytes ?? manifest.total_bytes;
}

/**
 * Checks the room for the streams of a chain that are still to be received. Where only the upper bound is missing, it warns: a disk that fills up
 * ends the restore, and what was received is kept.
 * @param isBegun true when their predecessor is there already
 * @throws ToolError when it is bound not to fit
 */
export async function checkRoom(
  { log }: StageContext,
  remaining: readonly StoredManifest[],
  isBegun: boolean,
  directory: string,
): Promise<void> {
  const { atLeast, atMost } = roomNeeded(remaining.map(streamBytes), isBegun);
  const free = await freeBytes(directory);
  if (free >= atMost) return;
  const has = `${directory} has ${formatSize(free)} free`;
  // What the mount compresses may take a fraction of its bytes.
  if (free < atLeast && !(await compresses(directory))) {
    throw new ToolError(`the restore needs about ${formatSize(atLeast)}, but ${has}`, {
      hint: 'make room (what was just deleted counts after: btrfs filesystem sync), or choose a TARGET on another filesystem',
    });
  }
  log.warn(
    `${has}, and the restore takes ${formatSize(Math.min(atLeast, atMost))} to ${formatSize(atMost)}, depending on what its streams delete and what is compressed: it may not fit, and then keeps what was received`,
  );
}

/** Before a stream: waits for the room of a predecessor that was deleted, where there is little else. */
export async function awaitRoom(
  { signal }: StageContext,
  next: StoredManifest,
  deleted: number,
  directory: string,
): Promise<void> {
  if ((await freeBytes(directory)) < 2 * streamBytes(next)) await waitUntilFreed(directory, deleted, signal);
}

/** Bytes that can be written to the filesystem of a directory. */
export async function freeBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}
