/** Where the snapshots of a subvolume come from: this tool takes them into SNAPSHOT_DIR, or somebody else has taken them. */

import { ToolError } from '../../core/errors.ts';
import { type ListedSubvolume, nestedAmong } from '../../core/format/btrfs-output.ts';
import { isSnapshotName } from '../../core/format/manifest.ts';
import { readableTime } from '../../core/format/names.ts';
import { newestSnapshot } from '../../core/plan/adopted-snapshots.ts';
import type { BackupSource } from '../../core/plan/backup-plan.ts';
import type { AdoptedSubvolume, LiveSubvolume, SelectedSubvolume } from '../../core/settings/rules.ts';
import { formatCount } from '../../core/units.ts';
import { letterOf, locksOn } from '../../edge/btrfs/attributes.ts';
import {
  type FoundSubvolume,
  filesystemOf,
  findByUuid,
  findSubvolumes,
  listSubvolumes,
  showSubvolume,
} from '../../edge/btrfs/btrfs.ts';
import { readFilesystemUuid } from '../../edge/btrfs/host-identity.ts';
import { findMatchingSubvolumes } from '../../edge/btrfs/matching-subvolumes.ts';
import { mountsBelow } from '../../edge/btrfs/mounts-below.ts';
import { pathExists } from '../../edge/files/files.ts';
import type { Log } from '../../transfer/transfer-context.ts';
import type { StageContext } from '../context.ts';

/** What a backup is planned from. */
export interface SnapshotSource {
  readonly subvolume: BackupSource;
  /** The snapshots that are here, any of which may be a parent. */
  readonly here: readonly FoundSubvolume[];
  /** The snapshot to send, or where to take it. */
  readonly next: { readonly adopt: FoundSubvolume } | SnapshotToTake;
  /** Subvolumes below, which `btrfs send` leaves out: paths below the subvolume. */
  readonly nested: readonly NestedSubvolume[];
  readonly filesystemUuid: string | undefined;
}

/** Of which subvolume a snapshot is to be taken, and into which directory. */
export interface SnapshotToTake {
  readonly takeOf: string;
  readonly into: string;
  /** The subvolume has a received UUID, which its read-only snapshots would inherit. */
  readonly isReceived: boolean;
}

/** A subvolume in another one. */
export interface NestedSubvolume {
  readonly path: string;
  readonly uuid: string;
}

/**
 * Looks at where the snapshots of a subvolume come from.
 * @throws ToolError when no snapshot can be had from there.
 */
export function openSource(context: StageContext, selected: SelectedSubvolume): Promise<SnapshotSource> {
  return 'snapshots' in selected ? lookForSnapshots(context, selected) : lookAtSubvolume(context, selected);
}

/** Later than this by a clock that is right, nothing was made. */
const clockToleranceMs = 60_000;

/** Finds the snapshots that somebody else has taken, and which of them is the newest. */
async function lookForSnapshots(
  { log, now }: StageContext,
  { name, snapshots: pattern }: AdoptedSubvolume,
): Promise<SnapshotSource> {
  const { found, unnameable } = await findMatchingSubvolumes(pattern);
  if (unnameable.length > 0) {
    const which = `${formatCount(unnameable.length, 'path')} that match ${pattern}, such as ${unnameable[0]},`;
    log.warn(`${name}: ${which} are not UTF-8 and cannot be backed up`);
  }
  const newest = newestSnapshot(found);
  if (!newest) {
    throw new ToolError(
      `of ${formatCount(found.length, 'subvolume')} that match ${pattern} none is read-only`,
      {
        hint: 'only read-only snapshots can be sent; name a subvolume itself to have snapshots of it taken: name=/path',
      },
    );
  }
  if (!isSnapshotName(newest.name)) {
    throw new ToolError(`the newest snapshot, ${newest.path}, has a control character in its name`, {
      hint: 'rename it, or delete it; the next snapshot will do as well',
    });
  }
  const { createdAt, parentUuid, path, uuid, receivedUuid } = newest;
  if (createdAt && createdAt.getTime() > now().getTime() + clockToleranceMs) {
    throw new ToolError(
      `the clock says ${now().toISOString()}, but snapshot ${path} is of ${readableTime(createdAt)}`,
      { hint: 'set the clock (timedatectl set-ntp true), or delete a snapshot that a wrong clock has made' },
    );
  }
  const live = parentUuid === undefined ? undefined : await findByUuid(parentUuid, path);
  const everything = await listSubvolumes(path);
  const sources = sourcesAmong(found, everything);
  if (sources.length > 1) {
    throw new ToolError(
      `${pattern} matches snapshots of different subvolumes: ${sources.slice(0, 3).join(', ')}`,
      { hint: 'one of them would never be backed up; write a glob for each: name=snapshots:/glob' },
    );
  }
  const nested = live ? dataAmong(nestedAmong(everything, live), live.uuid) : [];
  warnOfNested(log, name, nested, live?.topLevelPath ?? '');
  return {
    subvolume: {
      uuid: parentUuid,
      parentUuid: live?.parentUuid,
      nextStreamUuid: receivedUuid ?? uuid,
    },
    here: found,
    next: { adopt: newest },
    nested,
    filesystemUuid: await readFilesystemUuid(path),
  };
}

/** Checks that the subvolume can be snapshotted into SNAPSHOT_DIR, and warns of what will not be sent. */
async function lookAtSubvolume(
  context: StageContext,
  { name, path }: LiveSubvolume,
): Promise<SnapshotSource> {
  const directory = context.settings.SNAPSHOT_DIR;
  if (!directory) throw new ToolError('SNAPSHOT_DIR is not set', { kind: 'usage' });
  const info = await showSubvolume(path);
  if (!(await pathExists(directory))) {
    throw new ToolError(`SNAPSHOT_DIR ${directory} does not exist`, {
      hint: `make it with: mkdir -p -m 0700 ${directory}`,
    });
  }
  const [source, target] = await Promise.all([filesystemOf(path), filesystemOf(directory)]);
  if (target.type !== 'btrfs' || target.source !== source.source) {
    throw new ToolError(
      `SNAPSHOT_DIR ${directory} (${target.type} on ${target.source}) is not on the filesystem of ${path} (${source.source})`,
      { hint: 'a snapshot can only be taken within one Btrfs filesystem; choose a directory on it' },
    );
  }
  const nested = dataAmong(nestedAmong(await listSubvolumes(path), info), info.uuid);
  warnOfNested(context.log, name, nested, path);
  await warnOfMounts(context, name, path);
  const here = await findSubvolumes(directory);
  if (!here.some(({ parentUuid }) => parentUuid === info.uuid)) await warnOfLocks(context, name, path);
  return {
    subvolume: info,
    here,
    next: { takeOf: path, into: directory, isReceived: info.receivedUuid !== undefined },
    nested,
    filesystemUuid: await readFilesystemUuid(path),
  };
}

/** Nested subvolumes that hold data of their own: not the snapshots of the outer one, ours or those of others. */
function dataAmong(nested: ReturnType<typeof nestedAmong>, outerUuid: string): readonly NestedSubvolume[] {
  return nested
    .filter(({ path, parentUuid }) => parentUuid !== outerUuid && !/__\w{16}__(full|inc)$/.test(path))
    .map(({ path, uuid }) => ({ path, uuid }));
}

/** What people take for a part of `/`, and is not: /home, /var or a data disk that is mounted there. */
async function warnOfMounts({ log, settings }: StageContext, name: string, path: string): Promise<void> {
  const covered = new Set((settings.SUBVOLUMES ?? []).flatMap((each) => ('path' in each ? [each.path] : [])));
  const mounts = (await mountsBelow(path)).filter(
    ({ target }) => !covered.has(target) && !`${settings.SNAPSHOT_DIR}/`.startsWith(`${target}/`),
  );
  if (mounts.length === 0) return;
  const named = mounts
    .slice(0, mostNamed)
    .map(({ target, source, fstype }) => `${target} (${fstype} on ${source})`);
  const others = mounts.length - named.length;
  log.warn(
    `${name}: what is mounted below ${path} is not part of this backup: ${named.join(', ')}${others > 0 ? ` and ${others} more` : ''}; name Btrfs subvolumes in SUBVOLUMES to back them up`,
  );
}

/** Before the first snapshot: afterwards it is too late to have none that is locked. */
async function warnOfLocks({ log }: StageContext, name: string, path: string): Promise<void> {
  for (const lock of await locksOn(path)) {
    const option = letterOf(lock);
    log.warn(
      `${name}: ${path} is ${lock} (chattr +${option}), and so will its snapshots be: those of this tool are unlocked when they are deleted, others are not; chattr -${option} ${path} ends it`,
    );
  }
}

const mostNamed = 5;

function warnOfNested(log: Log, name: string, nested: readonly NestedSubvolume[], outer: string): void {
  if (nested.length === 0) return;
  const named = nested.slice(0, mostNamed).map(({ path }) => `${outer}/${path}`);
  const others = nested.length - named.length;
  log.warn(
    `${name}: nested subvolumes are not part of this backup: ${named.join(', ')}${others > 0 ? ` and ${others} more` : ''}; name them in SUBVOLUMES to back them up`,
  );
}

/**
 * The subvolumes, by their places below the top level, that some snapshots were taken of, as far as they are still there. A subvolume that
 * was rolled back is one with what it was before: the new one is made from a snapshot of the old.
 */
function sourcesAmong(
  snapshots: readonly FoundSubvolume[],
  everything: readonly ListedSubvolume[],
): readonly string[] {
  const byUuid = new Map(everything.map((subvolume) => [subvolume.uuid, subvolume]));
  const matched = new Set(snapshots.map(({ uuid }) => uuid));
  const roots = new Map<string, string>();
  for (const { readOnly, parentUuid } of snapshots) {
    if (!readOnly) continue;
    let source: ListedSubvolume | undefined;
    const seen = new Set<string>();
    for (let at = parentUuid; at !== undefined && !seen.has(at); at = byUuid.get(at)?.parentUuid) {
      seen.add(at);
      // What was received is a snapshot of what was received before.
      const found = byUuid.get(at);
      if (found && !matched.has(at)) source = found;
    }
    if (source) roots.set(source.uuid, source.path);
  }
  return [...roots.values()].sort();
}
