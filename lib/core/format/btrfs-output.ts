/** What the `btrfs` command prints, read into values. Formats as of btrfs-progs 5.10 … 6.x. */

/** A subvolume as `btrfs subvolume show` describes it. */
export interface ShownSubvolume {
  /** Its place below the filesystem's top level, `/` for that itself. Cut short where it has a line break in it. */
  readonly topLevelPath: string;
  /**
   * Undefined for the top level where mkfs.btrfs was older than 4.16, and for what kernels before 3.6 made. Its snapshots have a UUID of
   * their own, and name no parent.
   */
  readonly uuid: string | undefined;
  readonly parentUuid: string | undefined;
  readonly receivedUuid: string | undefined;
  readonly id: number;
  readonly generation: number;
  /**
   * Transaction in which it was made, or in which receiving it ended: what was changed later has a later state (`ctransid`).
   * Undefined where btrfs-progs does not print it.
   */
  readonly settledTransid: number | undefined;
  /** Of what was received: the state that the stream named, and when receiving it ended, to the second. */
  readonly sentTransid: number | undefined;
  readonly receivedAt: Date | undefined;
  readonly readOnly: boolean;
  /** When it was made (otime), to the second; undefined where the kernel has not written that down. */
  readonly createdAt: Date | undefined;
}

/** A subvolume with a UUID, by which it can be found again. Every snapshot has one. */
export interface SubvolumeInfo extends ShownSubvolume {
  readonly uuid: string;
}

/** Where the fields begin. The path and the name before them, and the snapshots' names behind, are printed as they are. */
const uuidLines = /^[ \t]+UUID:(.*)\n[ \t]+Parent UUID:(.*)\n[ \t]+Received UUID:(.*)\n/gm;

/**
 * Reads `btrfs subvolume show`; undefined when a field that it always prints is missing, or when there are two of what is
 * there once: then a name with line breaks in it passes itself off for fields.
 */
export function parseSubvolumeShow(text: string): ShownSubvolume | undefined {
  const [found, another] = text.matchAll(uuidLines);
  if (!found || another) return undefined;
  const [uuid, parentUuid, receivedUuid] = found.slice(1).map(known);
  const rest = text.slice(found.index + found[0].length);
  const field = (name: string) => known(new RegExp(`^[ \\t]+${name}:(.*)$`, 'm').exec(rest)?.[1]);
  const id = field('Subvolume ID');
  const generation = field('Generation');
  if (!id || !generation) return undefined;
  return {
    topLevelPath: text.slice(0, text.indexOf('\n')),
    uuid,
    parentUuid,
    receivedUuid,
    id: Number(id),
    generation: Number(generation),
    settledTransid: settledTransid(field('Gen at creation'), field('Receive transid')),
    sentTransid: receivedUuid === undefined ? undefined : numberOf(field('Send transid')),
    receivedAt: receivedUuid === undefined ? undefined : parseTime(field('Receive time')),
    readOnly: (field('Flags') ?? '').split(/[ ,]+/).includes('readonly'),
    createdAt: parseTime(field('Creation time')),
  };
}

function settledTransid(made: string | undefined, received: string | undefined): number | undefined {
  const known = [made, received].flatMap((text) => (text === undefined ? [] : [Number(text)]));
  return known.length > 0 ? Math.max(...known) : undefined;
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}

/** Reads `2026-11-24 22:27:08 +0100`. */
function parseTime(text: string | undefined): Date | undefined {
  const match = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) ([+-]\d\d)(\d\d)$/.exec(text ?? '');
  if (!match) return undefined;
  const [, day, time, hours, minutes] = match;
  const date = new Date(`${day}T${time}${hours}:${minutes}`);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

function known(text: string | undefined): string | undefined {
  const value = text?.trim();
  return value === '-' || value === '' ? undefined : value;
}

/** A subvolume as `btrfs subvolume list -a -c -u -q -R` lists it; the top level itself is not listed. */
export interface ListedSubvolume {
  readonly id: number;
  /** Transaction in which it was made (`otransid`). */
  readonly createdTransid: number;
  /** ID of the subvolume that it lies in. */
  readonly containerId: number;
  /** Undefined for what kernels before 3.6 made. */
  readonly uuid: string | undefined;
  /** UUID of what it is a snapshot of. */
  readonly parentUuid: string | undefined;
  /** UUID that the stream carried which it was received from. */
  readonly receivedUuid?: string | undefined;
  /** Relative to the filesystem's top level. */
  readonly path: string;
}

/** Reads `btrfs subvolume list -a -c -u -q -R`. */
export function parseSubvolumeList(text: string): readonly ListedSubvolume[] {
  return text.split('\n').flatMap((line) => {
    const [, id, createdTransid, containerId, parentUuid, receivedUuid, uuid, path] =
      /^ID (\d+) gen \d+ cgen (\d+) top level (\d+) parent_uuid +(\S+) +(?:received_uuid +(\S+) +)?uuid (\S+) +path (.+)$/.exec(
        line,
      ) ?? [];
    if (!uuid || !path) return [];
    return [
      {
        id: Number(id),
        createdTransid: Number(createdTransid),
        containerId: Number(containerId),
        uuid: known(uuid),
        parentUuid: known(parentUuid),
        receivedUuid: known(receivedUuid),
        path: path.replace(/^<FS_TREE>\//, ''),
      },
    ];
  });
}

/** Those of the subvolumes that lie in one, directly or in another one that does, with their paths below it. */
export function nestedAmong(
  listed: readonly ListedSubvolume[],
  { id, topLevelPath }: Pick<ShownSubvolume, 'id' | 'topLevelPath'>,
): readonly ListedSubvolume[] {
  const inside = new Set([id]);
  // What lies in another may have been listed, and made, before it: renaming moves subvolumes.
  for (let known = 0; known < inside.size; ) {
    known = inside.size;
    for (const each of listed) if (inside.has(each.containerId)) inside.add(each.id);
  }
  const root = topLevelPath === '/' ? '' : `${topLevelPath}/`;
  return listed
    .filter((each) => each.id !== id && inside.has(each.id))
    .map((each) => ({
      ...each,
      path: each.path.startsWith(root) ? each.path.slice(root.length) : each.path,
    }));
}

/** Version `[major, minor]` in what `btrfs --version` prints, such as `btrfs-progs v6.2`; undefined when it is not there. */
export function parseBtrfsVersion(text: string): readonly [major: number, minor: number] | undefined {
  const match = /v(\d+)\.(\d+)/.exec(text);
  return match ? [Number(match[1]), Number(match[2])] : undefined;
}
