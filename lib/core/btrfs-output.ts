/** What the `btrfs` command prints, read into values. Formats as of btrfs-progs 5.10 … 6.x. */

/** A subvolume as `btrfs subvolume show` describes it. */
export interface SubvolumeInfo {
  readonly uuid: string;
  readonly parentUuid: string | undefined;
  readonly receivedUuid: string | undefined;
  readonly id: number;
  readonly generation: number;
  readonly readOnly: boolean;
}

/**
 * Reads `btrfs subvolume show`; undefined when a field that it always prints is missing, or when one is there twice: names are
 * printed as they are, and one with line breaks in it could pass for fields.
 */
export function parseSubvolumeShow(text: string): SubvolumeInfo | undefined {
  const values = (name: string) =>
    [...text.matchAll(new RegExp(`^\\s+${name}:[ \\t]*(.*)$`, 'gm'))].map((match) => match[1]?.trim() ?? '');
  const field = (name: string) => {
    const [value] = values(name);
    return value === undefined || value === '-' || value === '' ? undefined : value;
  };
  if (fieldNames.some((name) => values(name).length > 1)) return undefined;
  const uuid = field('UUID');
  const id = field('Subvolume ID');
  const generation = field('Generation');
  if (!uuid || !id || !generation) return undefined;
  return {
    uuid,
    parentUuid: field('Parent UUID'),
    receivedUuid: field('Received UUID'),
    id: Number(id),
    generation: Number(generation),
    readOnly: (field('Flags') ?? '').split(/[ ,]+/).includes('readonly'),
  };
}

const fieldNames = ['UUID', 'Parent UUID', 'Received UUID', 'Subvolume ID', 'Generation', 'Flags'] as const;

/** Reads the paths of `btrfs subvolume list -o`, relative to the filesystem's top level. */
export function parseSubvolumeList(text: string): readonly string[] {
  return text.split('\n').flatMap((line) => /^ID \d+ gen \d+ top level \d+ path (.+)$/.exec(line)?.[1] ?? []);
}

/** Version `[major, minor]` in what `btrfs --version` prints, such as `btrfs-progs v6.2`; undefined when it is not there. */
export function parseBtrfsVersion(text: string): readonly [major: number, minor: number] | undefined {
  const match = /v(\d+)\.(\d+)/.exec(text);
  return match ? [Number(match[1]), Number(match[2])] : undefined;
}

/** Bytes that a line of `btrfs subvolume find-new` reports as new in a file; 0 for other lines. */
export function newBytesOf(line: string): number {
  const match = /^inode \d+ file offset \d+ len (\d+) /.exec(line);
  return match ? Number(match[1]) : 0;
}

/** The parts of a device's mount that tell filesystems apart, from `findmnt -n -v -o SOURCE,FSTYPE -T path`. */
export function parseFindmnt(text: string): { readonly source: string; readonly type: string } | undefined {
  const match = /^(\S.*?)\s+(\S+)\s*$/.exec(text.trim());
  return match?.[1] && match[2] ? { source: match[1], type: match[2] } : undefined;
}
