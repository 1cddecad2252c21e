/**
 * Attributes of a subvolume's top directory that what is made in it inherits. `btrfs receive` makes every file there, under a
 * temporary name, before it moves it to its place; so files would get a compression property or an ACL that they do not have in
 * the snapshot. They are held back while a stream is received, and set as its last step. What the top directory itself inherits from where
 * it is received is taken away first.
 */
import { ATTRIBUTES, attributesOf, buildCommand, COMMANDS } from '../commands.ts';

const compression = 'btrfs.compression';
const inherited: ReadonlySet<string> = new Set([compression, 'system.posix_acl_default']);

/**
 * The command that a new subvolume begins with where it has the compression property of the subvolume that it is made in
 * (btrfs_new_inode_prepare and what follows it in fs/btrfs/inode.c); it has no ACL. An empty value removes the property, and is no error
 * where there is none (fs/btrfs/props.c), on a mount with nodatacow either. Before Linux 5.14 both that and removing the attribute
 * switched compression off for all that is made in the directory later, so it is not for a subvolume that inherits nothing.
 */
export function clearInherited(): Uint8Array {
  return command(COMMANDS.setXattr, compression, new Uint8Array());
}

/** The held attributes of one chain, from stream to stream. */
export class RootAttributes {
  /** What the top directory has, by name, once a stream is received. */
  readonly #values: Map<string, Uint8Array>;

  /** @param known what the top directory has already: what `entries` gave after an earlier stream of the chain */
  constructor(known: Iterable<readonly [name: string, value: Uint8Array]> = []) {
    this.#values = new Map(known);
  }

  /** What the top directory has, for a restore that goes on later. */
  entries(): readonly (readonly [name: string, value: Uint8Array])[] {
    return [...this.#values];
  }

  /** Commands that take the attributes away which the stream before has left. */
  removing(): readonly Uint8Array[] {
    return [...this.#values.keys()].map((name) => command(COMMANDS.removeXattr, name));
  }

  /** Commands that set them, for the end of a stream. */
  setting(): readonly Uint8Array[] {
    return [...this.#values].map(([name, value]) => command(COMMANDS.setXattr, name, value));
  }

  /** Takes note of a command that sets or removes one of them; true when it is to be left out for now. */
  hold(type: number, bytes: Uint8Array): boolean {
    if (type !== COMMANDS.setXattr && type !== COMMANDS.removeXattr) return false;
    const found = new Map([...attributesOf(bytes)].map((attribute) => [attribute.type, attribute.bytes]));
    const name = new TextDecoder().decode(found.get(ATTRIBUTES.xattrName));
    const isOfRoot = found.get(ATTRIBUTES.path)?.length === 0;
    if (!isOfRoot || !inherited.has(name)) return false;
    const value = found.get(ATTRIBUTES.xattrData);
    if (type === COMMANDS.setXattr && value) this.#values.set(name, new Uint8Array(value));
    else this.#values.delete(name);
    return true;
  }
}

function command(type: number, name: string, value?: Uint8Array): Uint8Array {
  return buildCommand(type, [
    { type: ATTRIBUTES.path, bytes: new Uint8Array() },
    { type: ATTRIBUTES.xattrName, bytes: new TextEncoder().encode(name) },
    ...(value ? [{ type: ATTRIBUTES.xattrData, bytes: value }] : []),
  ]);
}
