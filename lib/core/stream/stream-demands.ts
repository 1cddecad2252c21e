/**
 * What a stream demands of the filesystem that it is received on: metadata nodes that are large enough, and attributes that not every mount
 * takes. `btrfs receive` finds out at the attribute, after all that came before it was downloaded.
 */
import type { Memory } from './command-scanner.ts';
import { ATTRIBUTES, attributesOf, COMMANDS } from './commands.ts';

/** Demands as a manifest records them. */
export interface Demands {
  /** Bytes of the smallest metadata node (mkfs.btrfs -n) that holds everything; 0 where nothing has a size of its own. */
  readonly least_node_size: number;
  readonly features: readonly Feature[];
}

/** `acl`: POSIX ACLs, which no mount with `noacl` takes. `compression`: the property, which none with `nodatacow` or `nodatasum` takes. */
export type Feature = 'acl' | 'compression';

/** A node's header and an item's (struct btrfs_header, btrfs_item). An item lies in one node. */
const nodeOverheadBytes = 101 + 25;
/** In front of an attribute's name and value (struct btrfs_dir_item), and of a link's target (inline file extent). */
const attributeOverheadBytes = 30;
const linkOverheadBytes = 21;

const features: ReadonlyMap<string, Feature> = new Map([
  ['system.posix_acl_access', 'acl'],
  ['system.posix_acl_default', 'acl'],
  ['btrfs.compression', 'compression'],
]);

/** Gathers the demands of one stream, command by command. */
export class StreamDemands {
  #largestItemBytes = 0;
  readonly #features = new Set<Feature>();

  /** Looks at a command, which lies in the memory from one position to another. */
  see(type: number, { bytes }: Memory, from: number, to: number): void {
    if (type !== COMMANDS.setXattr && type !== COMMANDS.symlink) return;
    const attributes = [...attributesOf(bytes.subarray(from, to))];
    const found = new Map(attributes.map((each) => [each.type, each.bytes]));
    if (type === COMMANDS.symlink) {
      this.#hold(linkOverheadBytes + (found.get(ATTRIBUTES.pathLink)?.length ?? 0));
      return;
    }
    const name = found.get(ATTRIBUTES.xattrName);
    const value = found.get(ATTRIBUTES.xattrData);
    this.#hold(attributeOverheadBytes + (name?.length ?? 0) + (value?.length ?? 0));
    const feature = features.get(new TextDecoder().decode(name));
    if (feature) this.#features.add(feature);
  }

  get result(): Demands {
    const bytes = this.#largestItemBytes;
    return { least_node_size: bytes && nodeOverheadBytes + bytes, features: [...this.#features].sort() };
  }

  #hold(bytes: number): void {
    this.#largestItemBytes = Math.max(this.#largestItemBytes, bytes);
  }
}
