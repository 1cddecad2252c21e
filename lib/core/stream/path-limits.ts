/** Paths that `btrfs receive` cannot make: it puts the subvolume's name in front, in a buffer of 4096 bytes. */
import type { Memory } from './command-scanner.ts';
import { ATTRIBUTES, attributesOf, COMMANDS, formatUuid } from './commands.ts';

/**
 * Bytes of the longest path below a subvolume that can be received under a name of one byte: `//name/path` has to stay below
 * 4096 with one byte to spare (path_cat_out in common/path-utils.c of btrfs-progs; measured with 6.2).
 */
export const MAX_PATH_BYTES = 4090;

/** Bytes of the longest path to clone from in the parent: its place below the mount point comes in front, which is not known. */
const MAX_CLONE_PATH_BYTES = 4000;

/** A path that is too long to be restored, as it stands in the stream. */
export class PathTooLong extends Error {
  readonly path: Uint8Array;

  constructor(path: Uint8Array) {
    super(`a path of ${path.length} bytes cannot be restored`);
    this.path = path;
  }
}

/** Checks the paths of a command; `ownUuid` is that of the snapshot that the stream makes. @throws PathTooLong */
export function checkPaths(type: number, { bytes }: Memory, from: number, to: number, ownUuid: string): void {
  // Too short to hold one that is too long, as nearly all are.
  if (to - from < MAX_CLONE_PATH_BYTES) return;
  let limit = MAX_PATH_BYTES;
  for (const attribute of attributesOf(bytes.subarray(from, to))) {
    if (attribute.type === ATTRIBUTES.cloneUuid && formatUuid(attribute.bytes) !== ownUuid)
      limit = MAX_CLONE_PATH_BYTES;
    if (isPath(type, attribute.type) && attribute.bytes.length > limit)
      throw new PathTooLong(new Uint8Array(attribute.bytes));
  }
}

function isPath(command: number, attribute: number): boolean {
  // What a symbolic link points to is no path of the stream.
  if (attribute === ATTRIBUTES.pathLink) return command !== COMMANDS.symlink;
  return (
    attribute === ATTRIBUTES.path || attribute === ATTRIBUTES.pathTo || attribute === ATTRIBUTES.clonePath
  );
}
