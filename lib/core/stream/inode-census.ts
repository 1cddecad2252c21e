/**
 * The inodes of a snapshot, as its full stream names them: `btrfs send` makes each under the name `o<number>-<generation>-0` before it
 * moves it to its place (gen_unique_name in the kernel's fs/btrfs/send.c). Nothing else shows the generation of a symbolic link.
 */
import { CommandScanner } from './command-scanner.ts';
import { ATTRIBUTES, attributesOf, COMMANDS } from './commands.ts';

/** What an increment takes for one inode where number and generation agree; `detail` is a link's target, or a device. */
export interface Inode {
  readonly number: number;
  readonly generation: number;
  readonly kind: InodeKind;
  readonly detail: string;
}

const kinds = ['file', 'directory', 'device', 'fifo', 'socket', 'symbolic link'] as const;

export type InodeKind = (typeof kinds)[number];

const makers: ReadonlyMap<number, InodeKind> = new Map([
  [COMMANDS.makeFile, 'file'],
  [COMMANDS.makeDirectory, 'directory'],
  [COMMANDS.makeNode, 'device'],
  [COMMANDS.makeFifo, 'fifo'],
  [COMMANDS.makeSocket, 'socket'],
  [COMMANDS.symlink, 'symbolic link'],
]);

/** Each byte is one character, so that what is equal as text is equal. */
const bytesAsText = new TextDecoder('latin1');

/** Calls `onInode` for each inode of a full stream, but the top directory's. `push` and `finish` throw StreamFormatError. */
export function inodeReader(onInode: (inode: Inode) => void): CommandScanner {
  return new CommandScanner((type, { bytes }, from, to) => {
    const kind = makers.get(type);
    if (!kind) return undefined;
    const found = new Map([...attributesOf(bytes.subarray(from, to))].map((each) => [each.type, each.bytes]));
    const text = (attribute: number) => bytesAsText.decode(found.get(attribute));
    const [, number, generation] = /^o(\d+)-(\d+)-\d+$/.exec(text(ATTRIBUTES.path)) ?? [];
    if (number === undefined) return undefined;
    const detail =
      kind === 'symbolic link'
        ? text(ATTRIBUTES.pathLink)
        : kind === 'device'
          ? text(ATTRIBUTES.mode) + text(ATTRIBUTES.device)
          : '';
    onInode({ number: Number(number), generation: Number(generation), kind, detail });
    return undefined;
  });
}

/** The inodes of one snapshot, in 17 bytes each, and those with a detail in some more. They come nearly in the order of their numbers. */
export class InodeCensus {
  #numbers = new Float64Array(1024);
  #generations = new Float64Array(1024);
  #kinds = new Uint8Array(1024);
  #count = 0;
  readonly #details = new Map<number, string>();
  /** Directories that were made before their turn, because something that has a lower number lies in them. */
  readonly #early = new Map<number, Inode>();

  add(inode: Inode): void {
    while (this.#count > 0 && this.#numberAt(this.#count - 1) >= inode.number) {
      const last = this.#at(--this.#count);
      this.#early.set(last.number, last);
    }
    if (this.#count === this.#numbers.length) this.#grow();
    this.#numbers[this.#count] = inode.number;
    this.#generations[this.#count] = inode.generation;
    this.#kinds[this.#count] = kinds.indexOf(inode.kind);
    this.#count++;
    if (inode.detail !== '') this.#details.set(inode.number, inode.detail);
  }

  /** The inode with a number; undefined when there is none. */
  find(number: number): Inode | undefined {
    let [from, to] = [0, this.#count];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (this.#numberAt(middle) < number) from = middle + 1;
      else to = middle;
    }
    if (from < this.#count && this.#numberAt(from) === number) return this.#at(from);
    return this.#early.get(number);
  }

  #numberAt(index: number): number {
    return this.#numbers[index] ?? Number.NaN;
  }

  #at(index: number): Inode {
    const number = this.#numberAt(index);
    return {
      number,
      generation: this.#generations[index] ?? Number.NaN,
      kind: kinds[this.#kinds[index] ?? 0] ?? 'file',
      detail: this.#details.get(number) ?? '',
    };
  }

  #grow(): void {
    const grown = <Values extends Float64Array | Uint8Array>(values: Values, into: Values): Values => {
      into.set(values);
      return into;
    };
    const length = this.#numbers.length * 2;
    this.#numbers = grown(this.#numbers, new Float64Array(length));
    this.#generations = grown(this.#generations, new Float64Array(length));
    this.#kinds = grown(this.#kinds, new Uint8Array(length));
  }
}

/** What a comparison of the inodes of two snapshots gives. */
export interface InodeComparison {
  /** How many both have. */
  readonly shared: number;
  /** Two that an increment would take for one: they were made in two branches in one transaction. */
  readonly mixedUp: { readonly parent: Inode; readonly source: Inode } | undefined;
  /** Numbers of the files that both have and that were made last, at most so many. */
  readonly newestFiles: readonly number[];
}

/** Compares the inodes of a snapshot, one after the other, with those of a parent. */
export class InodeComparer {
  readonly #parent: InodeCensus;
  readonly #most: number;
  #shared = 0;
  #mixedUp: InodeComparison['mixedUp'];
  /** The newest last. */
  readonly #newest: Inode[] = [];

  constructor(parent: InodeCensus, mostFiles: number) {
    this.#parent = parent;
    this.#most = mostFiles;
  }

  add(inode: Inode): void {
    const parent = this.#parent.find(inode.number);
    if (parent?.generation !== inode.generation) return;
    this.#shared++;
    if (parent.kind !== inode.kind || parent.detail !== inode.detail) {
      this.#mixedUp ??= { parent, source: inode };
    } else if (inode.kind === 'file') this.#keepNewest(inode);
  }

  get result(): InodeComparison {
    return {
      shared: this.#shared,
      mixedUp: this.#mixedUp,
      newestFiles: this.#newest.map(({ number }) => number).reverse(),
    };
  }

  #keepNewest(inode: Inode): void {
    const oldest = this.#newest[0];
    if (this.#newest.length >= this.#most && oldest && oldest.generation >= inode.generation) return;
    let at = this.#newest.length;
    while (at > 0 && (this.#newest[at - 1]?.generation ?? 0) > inode.generation) at--;
    this.#newest.splice(at, 0, inode);
    if (this.#newest.length > this.#most) this.#newest.shift();
  }
}
