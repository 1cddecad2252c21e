/**
 * Empty directories that a stream leaves at the top of what is received, and that its snapshot does not have. `btrfs send` moves a directory
 * that is deleted, but not empty yet, out of the way under the name `o<inode>-<generation>-<count>` (orphanize_inode in the kernel's
 * fs/btrfs/send.c) and removes it once the last inode in it is gone. Where it held a nested subvolume whose ID is above its own inode
 * number, that never happens: can_rmdir takes the ID for an inode that is still to come (seen with kernel 6.18).
 *
 * A user may have given a directory such a name. Whatever is in the snapshot and was moved there has its times sent, under its new path. Of
 * a directory that is deleted the stream says nothing more.
 */
import type { Memory } from '../command-scanner.ts';
import { ATTRIBUTES, attributesOf, buildCommand, COMMANDS } from '../commands.ts';

/** The name that `btrfs send` gives what it moves out of the way. */
export const strayName = /^o\d+-\d+-\d+$/;

/** Of three numbers of 64 bits. */
const longestNameBytes = 64;

/** Names that are watched at once, so that memory stays bounded: a few MiB. Directories beyond it stay where they are. */
const mostNames = 50_000;

/** Nothing can be made, or moved, where one of them is. */
const makers: ReadonlySet<number> = new Set([
  COMMANDS.makeFile,
  COMMANDS.makeDirectory,
  COMMANDS.makeNode,
  COMMANDS.makeFifo,
  COMMANDS.makeSocket,
  COMMANDS.symlink,
  COMMANDS.link,
]);

/** Each byte is one character. */
const bytesAsText = new TextDecoder('latin1');

/** The stray directories of one chain, as of one incremental stream. */
export class StrayDirectories {
  /** What earlier streams have left. */
  readonly #left: Set<string>;
  /** What this one has moved there, and not spoken of since. */
  readonly #moved = new Set<string>();

  /** @param left what `names` gave after the stream before */
  constructor(left: Iterable<string> = []) {
    this.#left = new Set(left);
  }

  /** Once the stream is at its end: what is at the top, and is not in the snapshot. */
  get names(): readonly string[] {
    return [...this.#left, ...this.#moved];
  }

  /**
   * Looks at a command, which lies in the memory from one position to another.
   * @returns a command that has to come before it. After a roll-back a directory may come into being again under the name of its stray,
   *   on which `btrfs receive` would fail.
   */
  see(type: number, { bytes }: Memory, from: number, to: number): Uint8Array | undefined {
    const isRename = type === COMMANDS.rename;
    if (!isRename && this.#left.size + this.#moved.size === 0) return undefined;
    const command = bytes.subarray(from, to);
    const name = nameOf(command, ATTRIBUTES.path);
    const wasLeft = name !== undefined && this.#forget(name);
    if (wasLeft && makers.has(type)) return removal(name);
    const target = isRename ? nameOf(command, ATTRIBUTES.pathTo) : undefined;
    if (target === undefined) return undefined;
    const isTaken = this.#forget(target);
    if (this.#left.size + this.#moved.size < mostNames) this.#moved.add(target);
    return isTaken ? removal(target) : undefined;
  }

  /** @returns true for one that an earlier stream has left */
  #forget(name: string): boolean {
    this.#moved.delete(name);
    return this.#left.delete(name);
  }
}

/** The path that an attribute of a command has, where it is such a name at the top. */
function nameOf(command: Uint8Array, attribute: number): string | undefined {
  for (const { type, bytes } of attributesOf(command)) {
    if (type !== attribute) continue;
    // Most are not, and are not decoded.
    if (bytes[0] !== 0x6f || bytes.length > longestNameBytes) return undefined;
    const name = bytesAsText.decode(bytes);
    return strayName.test(name) ? name : undefined;
  }
  return undefined;
}

function removal(name: string): Uint8Array {
  return buildCommand(COMMANDS.removeDirectory, [
    { type: ATTRIBUTES.path, bytes: new TextEncoder().encode(name) },
  ]);
}
