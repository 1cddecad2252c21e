/** What a machine has that could be backed up, and who takes snapshots there already: for defaults that are right most often. */
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Mount } from '../../core/format/mountinfo.ts';
import { isSubvolumeName } from '../../core/format/names.ts';
import { placeOf, type SelectedSubvolume } from '../../core/settings/rules.ts';
import { isSubvolumeRoot } from '../../edge/btrfs/btrfs.ts';
import { btrfsMounts, mountOf } from '../../edge/btrfs/mounts/mounts.ts';
import { pathExists } from '../../edge/files/files.ts';

/** What is there. */
export interface MachineFacts {
  /** Subvolumes as SUBVOLUMES takes them: `root=/`, `/home`. */
  readonly subvolumes: readonly string[];
  /** Snapshots of other programs, as SUBVOLUMES takes them, and whose they are. */
  readonly snapshots: readonly { readonly program: string; readonly setting: string }[];
}

/** More than anybody reads. */
const mostSubvolumes = 12;

/** Looks at what is mounted. @param mounts of Btrfs, unless all of this machine are meant */
export async function lookAtMachine(mounts?: readonly Mount[]): Promise<MachineFacts> {
  const [mounted, within]: [string[], string[]] = [[], []];
  for (const { target, root } of mounts ?? (await btrfsMounts())) {
    const inside = await subvolumesIn(target);
    // The top level most often only holds the others. On a NAS it holds the shares as well.
    if (root === '/' && inside.length > 0) {
      within.push(...inside);
      if (await holdsMore(target, inside)) mounted.push(target);
    } else if (!isOfSnapshots(target) && (await isSubvolumeRoot(target))) mounted.push(target);
  }
  // A mount of the top level shows what is mounted by itself once more.
  const unique = (await withoutRepeats([...mounted, ...within])).slice(0, mostSubvolumes);
  return { subvolumes: nameAll(unique), snapshots: await findSnapshots(unique) };
}

/** A directory for snapshots beside the data of a subvolume: within it, as a subvolume is not part of its own snapshots. */
export function snapshotDirectoryFor(path: string): string {
  return join(path, '.btrfs-to-s3');
}

/**
 * A path for the first restore of a subvolume: beside it, or within it where what is beside is on another filesystem, as with a Btrfs
 * filesystem mounted at /data, or cannot be written.
 */
export async function restoreTargetFor(selected: SelectedSubvolume): Promise<string> {
  const path = placeOf(selected);
  const [beside, within] = [join(dirname(path), `restored-${selected.name}`), join(path, 'restored')];
  // Only a proposal: where no mount is found, it is not for that to fail what has been done by now.
  const seenAt = async (each: string) => mountOf(await nearestThatExists(each)).catch(() => undefined);
  const [own, above] = await Promise.all([seenAt(path), seenAt(dirname(path))]);
  const isSame = own !== undefined && above?.device === own.device && above.type === 'btrfs';
  return isSame && !above.options.includes('ro') ? beside : within;
}

/** The path, or the nearest directory above it that is there. */
export async function nearestThatExists(path: string): Promise<string> {
  return (await pathExists(path)) ? path : nearestThatExists(dirname(path));
}

/** Why a path cannot hold snapshots of a subvolume; undefined where it can. It need not exist yet. */
export async function whyNoSnapshots(directory: string, subvolume: string): Promise<string | undefined> {
  const there = await nearestThatExists(directory);
  const [own, wanted] = await Promise.all([mountOf(there), mountOf(subvolume)]);
  if (own.type === 'btrfs' && own.device === wanted.device) return undefined;
  return `is on ${own.source} (${own.type}), and ${subvolume} on ${wanted.source}: a snapshot stays on its filesystem; another filesystem needs settings of its own`;
}

async function subvolumesIn(directory: string): Promise<readonly string[]> {
  const names = await readdir(directory).catch((): string[] => []);
  const found: string[] = [];
  for (const name of names.sort()) {
    const path = join(directory, name);
    if (!isOfSnapshots(path) && (await isSubvolumeRoot(path))) found.push(path);
  }
  return found;
}

/** Whether a directory has something of its own beside these subvolumes and those of snapshots. */
async function holdsMore(directory: string, inside: readonly string[]): Promise<boolean> {
  const names = await readdir(directory).catch((): string[] => []);
  return names
    .map((name) => join(directory, name))
    .some((path) => !isOfSnapshots(path) && !inside.includes(path));
}

/** Each subvolume once, at the first of its paths: it has the same device number on every mount. */
async function withoutRepeats(paths: readonly string[]): Promise<readonly string[]> {
  const byDevice = new Map<number, string>();
  for (const path of paths) {
    // Undefined for what was unmounted since it was listed.
    const device = await stat(path).then(
      ({ dev }) => dev,
      () => undefined,
    );
    if (device !== undefined && !byDevice.has(device)) byDevice.set(device, path);
  }
  return [...byDevice.values()];
}

/** Of snapshots, as most name it, such as `@snapshots` or a `/.snapshots` that is mounted by itself; or hidden. */
function isOfSnapshots(path: string): boolean {
  const name = basename(path);
  return name.startsWith('.') || /snap|timeshift/i.test(name);
}

/** The last part of a path is its name, where that is one and not taken. */
function nameAll(paths: readonly string[]): readonly string[] {
  const taken = new Set<string>();
  return paths.map((path) => {
    const last = path === '/' ? 'root' : basename(path);
    const plain = isSubvolumeName(last) ? last : 'data';
    let name = plain;
    for (let count = 2; taken.has(name); count++) name = `${plain}-${count}`;
    taken.add(name);
    return name === basename(path) ? path : `${name}=${path}`;
  });
}

async function findSnapshots(paths: readonly string[]): Promise<MachineFacts['snapshots']> {
  const found: { program: string; setting: string }[] = [];
  for (const path of paths) {
    const name = path === '/' ? 'root' : basename(path);
    if (await hasSnapper(join(path, '.snapshots'))) {
      found.push({ program: 'snapper', setting: `${name}=snapshots:${join(path, '.snapshots/*/snapshot')}` });
    }
  }
  if (await pathExists('/etc/btrbk/btrbk.conf')) {
    found.push({ program: 'btrbk', setting: 'name=snapshots:/path/of/snapshot_dir/name.*' });
  }
  return found;
}

async function hasSnapper(directory: string): Promise<boolean> {
  for (const name of await readdir(directory).catch((): string[] => [])) {
    if (/^\d+$/.test(name) && (await isSubvolumeRoot(join(directory, name, 'snapshot')))) return true;
  }
  return false;
}
