/** Where the snapshots of a subvolume come from: this tool takes them into SNAPSHOT_DIR, or another program has taken them. */

import { ToolError } from '../../core/errors.ts';
import type { ListedSubvolume } from '../../core/format/btrfs-output.ts';
import { isSnapshotName } from '../../core/format/manifest.ts';
import { readableTime } from '../../core/format/names.ts';
import { newestSnapshot } from '../../core/plan/backup/adopted-snapshots.ts';
import type { BackupSource } from '../../core/plan/backup/backup-plan.ts';
import type { LineageSubvolume } from '../../core/plan/backup/lineage.ts';
import {
  type AdoptedSubvolume,
  type LiveSubvolume,
  placeOf,
  type SelectedSubvolume,
} from '../../core/settings/rules.ts';
import { formatCount } from '../../core/units.ts';
import { letterOf, locksOn } from '../../edge/btrfs/attributes.ts';
import {
  describeSubvolume,
  type FoundSubvolume,
  findByUuid,
  findSubvolumes,
} from '../../edge/btrfs/btrfs.ts';
import { readFilesystemUuid } from '../../edge/btrfs/host-identity.ts';
import { findMatchingSubvolumes } from '../../edge/btrfs/matching-subvolumes.ts';
import { refuseMissingMount } from '../../edge/btrfs/mounts/missing-mount.ts';
import { mountOf } from '../../edge/btrfs/mounts/mounts.ts';
import { lookAtFilesystem, type WholeFilesystem } from '../../edge/btrfs/whole-filesystem.ts';
import { pathExists } from '../../edge/files/files.ts';
import type { StageContext } from '../context.ts';
import { type NestedSubvolume, warnOfLeftOut } from './left-out.ts';

/** What a backup is planned from. */
export interface SnapshotSource {
  readonly subvolume: BackupSource;
  /** The snapshots that are where they are looked for. */
  readonly here: readonly FoundSubvolume[];
  /** What is sent, or of which the snapshot to send is taken. */
  readonly sent: LineageSubvolume & { readonly path: string };
  readonly filesystem: WholeFilesystem;
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

/** What a look at a source needs. */
export type SourceContext = Pick<StageContext, 'settings' | 'log' | 'now'>;

/**
 * Looks at where the snapshots of a subvolume come from.
 * @throws ToolError when no snapshot can be had from there.
 */
export function openSource(context: SourceContext, selected: SelectedSubvolume): Promise<SnapshotSource> {
  return 'snapshots' in selected ? lookForSnapshots(context, selected) : lookAtSubvolume(context, selected);
}

/** Later than this by a clock that is right, nothing was made. */
const clockToleranceMs = 60_000;

/** Finds the snapshots that another program has taken, and which of them is the newest. */
async function lookForSnapshots(context: SourceContext, selected: AdoptedSubvolume): Promise<SnapshotSource> {
  const { log, now } = context;
  const { name, snapshots: pattern } = selected;
  await refuseMissingMount(`the directory of ${name},`, placeOf(selected));
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
  const filesystem = await lookAtFilesystem(path);
  const everything = filesystem.listed;
  const sources = sourcesAmong(found, everything);
  if (sources.length > 1) {
    throw new ToolError(
      `${pattern} matches snapshots of different subvolumes: ${sources.slice(0, 3).join(', ')}`,
      { hint: 'one of them would never be backed up; write a glob for each: name=snapshots:/glob' },
    );
  }
  const nested = live
    ? await warnOfLeftOut(context, { name, info: live, at: { snapshot: path } }, everything)
    : [];
  return {
    subvolume: { uuid: parentUuid, nextStreamUuid: receivedUuid ?? uuid },
    here: found,
    sent: lineageOf(newest, path, filesystem),
    filesystem,
    next: { adopt: newest },
    nested,
    filesystemUuid: await readFilesystemUuid(path),
  };
}

/** Checks that the subvolume can be snapshotted into SNAPSHOT_DIR, and warns of what will not be sent. */
async function lookAtSubvolume(
  context: SourceContext,
  { name, path }: LiveSubvolume,
): Promise<SnapshotSource> {
  const directory = context.settings.SNAPSHOT_DIR;
  if (!directory) throw new ToolError('SNAPSHOT_DIR is not set', { kind: 'usage' });
  await refuseMissingMount('the subvolume', path);
  await refuseMissingMount('SNAPSHOT_DIR', directory);
  // Nothing needs a UUID of it: a snapshot has its own.
  const info = await describeSubvolume(path);
  if (!(await pathExists(directory))) {
    throw new ToolError(`SNAPSHOT_DIR ${directory} does not exist`, {
      hint: `make it with: mkdir -p -m 0700 ${directory}, or mount what it is on`,
    });
  }
  const [source, target] = await Promise.all([mountOf(path), mountOf(directory)]);
  if (target.type !== 'btrfs' || target.device !== source.device) {
    throw new ToolError(
      `SNAPSHOT_DIR ${directory} (${target.type} on ${target.source}) is not on the filesystem of ${path} (${source.source})`,
      { hint: 'a snapshot can only be taken within one Btrfs filesystem; choose a directory on it' },
    );
  }
  const filesystem = await lookAtFilesystem(path);
  const everything = filesystem.listed;
  const nested = await warnOfLeftOut(context, { name, info, at: { path } }, everything);
  const here = await findSubvolumes(directory);
  if (!here.some(({ parentUuid }) => parentUuid === info.uuid)) await warnOfLocks(context, name, path);
  return {
    subvolume: info,
    here,
    sent: lineageOf(info, path, filesystem),
    filesystem,
    next: { takeOf: path, into: directory, isReceived: info.receivedUuid !== undefined },
    nested,
    filesystemUuid: await readFilesystemUuid(path),
  };
}

function lineageOf(
  { uuid, parentUuid, receivedUuid }: Omit<LineageSubvolume, 'createdTransid'>,
  path: string,
  { subvolumes }: WholeFilesystem,
): SnapshotSource['sent'] {
  const createdTransid = subvolumes.get(uuid ?? '')?.createdTransid ?? 0;
  return { uuid, parentUuid, receivedUuid, createdTransid, path };
}

/** Before the first snapshot: afterwards it is too late to have none that is locked. */
async function warnOfLocks({ log }: SourceContext, name: string, path: string): Promise<void> {
  for (const lock of await locksOn(path)) {
    const option = letterOf(lock);
    log.warn(
      `${name}: ${path} is ${lock} (chattr +${option}), and so will its snapshots be: this tool unlocks its own to delete them; chattr -${option} ${path} ends it`,
    );
  }
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
    if (source?.uuid !== undefined) roots.set(source.uuid, source.path);
  }
  return [...roots.values()].sort();
}
