/** The `btrfs` command: what the stages ask of it, and its complaints in words that say what to do. */
import { lstat, readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ToolError } from '../../core/errors.ts';
import {
  type ListedSubvolume,
  parseBtrfsVersion,
  parseSubvolumeList,
  parseSubvolumeShow,
  type ShownSubvolume,
  type SubvolumeInfo,
} from '../../core/format/btrfs-output.ts';
import { isAtLeast, PROGS_FOR_PROTOCOL_2 } from '../../core/plan/receivable.ts';
import { fileError } from '../files/files.ts';
import { command } from '../process/child.ts';
import { unlockSubvolume } from './attributes.ts';
import { refuseMissingMount } from './mounts/missing-mount.ts';
import { mountOf } from './mounts/mounts.ts';
import { knownHint, refusalOf } from './refusal.ts';
import { notASubvolume, subvolumeRootInode } from './wrong-place.ts';

/**
 * Describes a subvolume, which need not have a UUID.
 * @throws ToolError when the path is not one.
 */
export async function describeSubvolume(path: string): Promise<ShownSubvolume> {
  const status = await stat(path, { bigint: true }).catch(async (cause: unknown) => {
    await refuseMissingMount('', path);
    throw fileError(`cannot use ${path}`, cause, 'check SUBVOLUMES and whether its filesystem is mounted');
  });
  if (!status.isDirectory() || status.ino !== subvolumeRootInode) {
    throw await notASubvolume(path, await mountOf(path));
  }
  const shown = await command`btrfs subvolume show -- ${path}`;
  const info = parseSubvolumeShow(shown.stdout);
  if (shown.exitCode !== 0 || !info) throw btrfsError(`cannot read the subvolume ${path}`, shown.stderr);
  return info;
}

/**
 * Describes a subvolume that has a UUID.
 * @throws ToolError when the path is not one.
 */
export async function showSubvolume(path: string): Promise<SubvolumeInfo> {
  const info = await describeSubvolume(path);
  if (hasUuid(info)) return info;
  throw new ToolError(
    `the subvolume ${path} has no UUID, as the top level where mkfs.btrfs was older than 4.16`,
    {
      hint: 'name a snapshot of it, which has one: btrfs subvolume snapshot -r',
    },
  );
}

/** Describes several at once. @throws ToolError when a path is not a subvolume that has a UUID */
export async function showSubvolumes(paths: readonly string[]): Promise<readonly SubvolumeInfo[]> {
  const shown = await showTogether(paths);
  const described: SubvolumeInfo[] = [];
  for (const [index, path] of paths.entries()) {
    const info = shown[index];
    described.push(info && hasUuid(info) ? info : await showSubvolume(path));
  }
  return described;
}

/** Paths that one command names: zx writes all into one argument, of which the kernel takes 128 KiB (execve(2)), and a path has up to 4. */
const pathsAtOnce = 12;

/**
 * What `btrfs subvolume show` says of each path, undefined where it fails. The shell starts one after the other: it has few pages to be copied
 * for that (fork(2)), and this process has many.
 */
async function showTogether(paths: readonly string[]): Promise<readonly (ShownSubvolume | undefined)[]> {
  const shown: (ShownSubvolume | undefined)[] = [];
  for (let from = 0; from < paths.length; from += pathsAtOnce) {
    const some = paths.slice(from, from + pathsAtOnce);
    const { stdout } = await command`for path in ${some}; do
      btrfs subvolume show -- "$path" && code=0 || code=$?
      printf '\\0%d\\0' "$code"
    done`;
    const answers = stdout.split('\0');
    for (const index of some.keys()) {
      const [text = '', code] = answers.slice(2 * index, 2 * index + 2);
      shown.push(code === '0' ? parseSubvolumeShow(text) : undefined);
    }
  }
  return shown;
}

function hasUuid(info: ShownSubvolume): info is SubvolumeInfo {
  return info.uuid !== undefined;
}

/** Every subvolume of the filesystem that a path is on. Without `-a` some paths would begin at the subvolume that is mounted. */
export async function listSubvolumes(path: string): Promise<readonly ListedSubvolume[]> {
  const listed = await command`btrfs subvolume list -a -c -u -q -R -- ${path}`;
  if (listed.exitCode !== 0) throw btrfsError(`cannot list the subvolumes of ${path}`, listed.stderr);
  return parseSubvolumeList(listed.stdout);
}

/** A subvolume in a directory. */
export interface FoundSubvolume extends SubvolumeInfo {
  readonly name: string;
  readonly path: string;
}

/** The subvolumes that lie directly in a directory, and have a UUID. @throws ToolError when it cannot be read */
export async function findSubvolumes(directory: string): Promise<readonly FoundSubvolume[]> {
  const names = await readdir(directory).catch((cause: unknown) => {
    throw fileError(`cannot look into ${directory}`, cause);
  });
  const paths = names.sort().map((name) => join(directory, name));
  const shown = await subvolumesAmong(paths);
  const found: FoundSubvolume[] = [];
  for (const path of paths) {
    const subvolume = shown.get(path) ?? (await subvolumeAt(path, basename(path)));
    if (subvolume) found.push(subvolume);
  }
  return found;
}

/** By their paths, those that are subvolumes with a UUID and can be shown. Why others are not among them, subvolumeAt tells of each. */
export async function subvolumesAmong(
  paths: readonly string[],
): Promise<ReadonlyMap<string, FoundSubvolume>> {
  const areRoots = await Promise.all(paths.map(isSubvolumeRoot));
  const roots = paths.filter((_, index) => areRoots[index]);
  const shown = await showTogether(roots);
  const found = new Map<string, FoundSubvolume>();
  for (const [index, path] of roots.entries()) {
    const info = shown[index];
    if (info && hasUuid(info)) found.set(path, { ...info, name: basename(path), path });
  }
  return found;
}

/** Whether a path leads to the top directory of a subvolume. */
export async function isSubvolumeRoot(path: string): Promise<boolean> {
  const status = await stat(path, { bigint: true }).catch(() => undefined);
  return status?.isDirectory() === true && status.ino === subvolumeRootInode;
}

/** The subvolume at a path; undefined for what is none, or has no UUID: nothing could build on it or find it again. */
export async function subvolumeAt(path: string, name: string): Promise<FoundSubvolume | undefined> {
  if (!(await isSubvolumeRoot(path))) return undefined;
  const info = await describeSubvolume(path);
  return hasUuid(info) ? { ...info, name, path } : undefined;
}

/** The subvolume with a UUID, wherever on the filesystem of a path; undefined when there is none, or it is out of reach. */
export async function findByUuid(uuid: string, path: string): Promise<SubvolumeInfo | undefined> {
  const shown = await command`btrfs subvolume show -u ${uuid} -- ${path}`;
  const info = shown.exitCode === 0 ? parseSubvolumeShow(shown.stdout) : undefined;
  return info && hasUuid(info) ? info : undefined;
}

/**
 * Takes a snapshot.
 * @throws ToolError; an active swap file in the source is explained (ETXTBSY, btrfs(5) "SWAPFILE SUPPORT").
 */
export async function takeSnapshot(
  source: string,
  target: string,
  access: 'read-only' | 'writable',
): Promise<void> {
  const flags = access === 'read-only' ? ['-r'] : [];
  const taken = await command`btrfs subvolume snapshot ${flags} -- ${source} ${target}`;
  if (taken.exitCode === 0) return;
  if (taken.stderr.includes('Text file busy')) {
    throw new ToolError(`cannot take a snapshot of ${source}: it holds an active swap file`, {
      hint: 'move the swap file into a subvolume of its own, or switch it off with swapoff',
      childOutput: taken.stderr,
    });
  }
  throw await refusalOf(`cannot take a snapshot of ${source} at ${target}`, taken.stderr, target);
}

/** Makes a subvolume read-only that was writable so far. */
export async function makeReadOnly(path: string): Promise<void> {
  const set = await command`btrfs property set -t subvol -- ${path} ro true`;
  if (set.exitCode !== 0) throw await refusalOf(`cannot make ${path} read-only`, set.stderr, path);
}

/** Seconds that Node gives to the second: it takes them through a number of JavaScript. */
const mostSeconds = BigInt(Number.MAX_SAFE_INTEGER);

/**
 * A file's modification time in seconds since 1970 with nine decimals, which a number of JavaScript could not hold. Undefined where it is so
 * far away that it cannot be read exactly.
 */
export async function readMtime(path: string): Promise<string | undefined> {
  const { mtimeNs } = await lstat(path, { bigint: true });
  const seconds = mtimeNs / 1_000_000_000n;
  if (seconds > mostSeconds || seconds < -mostSeconds) return undefined;
  const digits = String(mtimeNs < 0n ? -mtimeNs : mtimeNs).padStart(10, '0');
  return `${mtimeNs < 0n ? '-' : ''}${digits.slice(0, -9)}.${digits.slice(-9)}`;
}

/**
 * When a subvolume's top directory was made, in nanoseconds since 1970: its snapshots, and theirs, have that too. 0 where the
 * kernel has not written it down.
 */
export async function readBirth(path: string): Promise<bigint> {
  return (await lstat(path, { bigint: true })).birthtimeNs;
}

/**
 * Deletes a subvolume of ours and waits until the deletion is on disk. One that inherited chattr +i or +a from its source is unlocked
 * for it.
 * @throws ToolError with the cause, as far as it can be found; the subvolume is read-only then if it was before.
 */
export async function deleteSubvolume(path: string): Promise<void> {
  const remove = () => command`btrfs subvolume delete --commit-after -- ${path}`;
  const deleted = await remove();
  if (deleted.exitCode === 0) return;
  const settle = /Operation not permitted/.test(deleted.stderr) ? await unlockSubvolume(path) : undefined;
  if (settle) {
    const again = await remove();
    if (again.exitCode === 0) return;
    await settle();
    throw await refusalOf(`cannot delete the subvolume ${path}`, again.stderr, path);
  }
  throw await refusalOf(`cannot delete the subvolume ${path}`, deleted.stderr, path);
}

/** Waits until the room of a deleted subvolume, named by its ID, is free again; not where btrfs cannot tell. */
export async function waitUntilFreed(path: string, id: number, signal: AbortSignal): Promise<void> {
  await command({ signal })`btrfs subvolume sync -- ${path} ${id}`;
  signal.throwIfAborted();
}

let progsVersion: Promise<readonly [major: number, minor: number] | undefined> | undefined;

/** The version of btrfs-progs, which a process asks for once; undefined where it does not say. */
export async function readProgsVersion(): Promise<readonly [major: number, minor: number] | undefined> {
  progsVersion ??= command`btrfs --version`.then(({ stdout }) => parseBtrfsVersion(stdout));
  return progsVersion;
}

/**
 * True where compressed extents can be sent as they are, and received again: a kernel that writes version 2 of the stream, which it
 * names in sysfs, and btrfs-progs that receives it well (btrfs-send(8), "--compressed-data").
 */
export async function canSendCompressed(): Promise<boolean> {
  const streamVersion = await readFile('/sys/fs/btrfs/features/send_stream_version', 'utf8').catch(() => '1');
  const version = await readProgsVersion();
  return Number(streamVersion) >= 2 && version !== undefined && isAtLeast(version, PROGS_FOR_PROTOCOL_2);
}

function btrfsError(message: string, stderr: string): ToolError {
  const denied = /Operation not permitted|Permission denied/.test(stderr);
  const missing = /command not found|No such file or directory: btrfs/.test(stderr);
  const known = knownHint(stderr);
  const hint =
    denied && process.geteuid?.() !== 0
      ? 'run as root'
      : missing
        ? 'install btrfs-progs with: make setup'
        : known;
  return new ToolError(message, { ...(hint && { hint }), childOutput: stderr });
}
