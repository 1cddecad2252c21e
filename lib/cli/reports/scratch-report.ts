/** What `extract.ts` and `drill.ts` say before they begin: bytes, requests, thaw and disk. */
import { shownPath } from '../../core/extract/wanted-paths.ts';
import { readableTimestamp } from '../../core/format/names.ts';
import { describeReadyTime, readyTime } from '../../core/thaw/ready-time.ts';
import { formatCount, formatSize } from '../../core/units.ts';
import type { ExtractOutcome, ExtractPlan } from '../../stage/restore/extract/extract.ts';
import type { ScratchPlan } from '../../stage/restore/scratch/scratch-plan.ts';

/** Lines on a restore into a scratch filesystem. */
export function scratchPlanLines(plan: ScratchPlan): readonly string[] {
  const { newest, chain, bytes, requests, room, directory, free } = plan;
  const { subvolume, created_at } = newest.manifest;
  return [
    `${subvolume} as of ${readableTimestamp(created_at)}: ${formatCount(chain.length, 'backup')}`,
    `fetches ${formatSize(bytes)} in about ${formatCount(requests, 'request')}`,
    thawLine(plan),
    `takes ${formatSize(room.atLeast)} to ${formatSize(room.atMost)} in ${directory} until it is done; ${formatSize(free)} are free there`,
  ];
}

function thawLine({ outlook: { progress, requested, terms } }: ScratchPlan): string {
  const time = describeReadyTime(readyTime(progress, terms.tier));
  if (requested === 0 && time === undefined) return 'thaws nothing: all chunks can be read';
  const parts = [
    ...(requested > 0
      ? [`requests the thaw of ${requested} of ${formatCount(progress.objects, 'chunk')}`]
      : []),
    ...(progress.thawing > 0 ? [`waits for ${formatCount(progress.thawing, 'chunk')} in progress`] : []),
  ];
  return `${parts.join(' and ')} (${terms.tier}, ${terms.days} days)${time === undefined ? '' : `; ${time}`}`;
}

/** The same for programs. */
export function scratchPlanJson(plan: ScratchPlan) {
  const { subvolume, chain, bytes, requests, room, directory, free } = plan;
  const { progress, requested, terms } = plan.outlook;
  return {
    subvolume,
    chain: chain.map(({ key }) => key),
    fetch: { bytes, requests },
    thaw: {
      objects: progress.objects,
      cold: progress.cold,
      thawing: progress.thawing,
      would_request: requested,
      ...terms,
    },
    scratch: { directory, at_least: room.atLeast, at_most: room.atMost, free },
  };
}

/** Lines on an extract. */
export function extractPlanLines(plan: ExtractPlan): readonly string[] {
  const { paths, to, toFree, room, snapshotHere } = plan;
  const most = formatSize(room.atMost);
  const mayNotFit = toFree < room.atMost ? `, and the paths may take up to ${most}` : '';
  return [
    ...scratchPlanLines(plan),
    `copies ${formatCount(paths.length, 'path')} to ${to.path}, which has ${formatSize(toFree)} free${mayNotFit}`,
    ...(snapshotHere === undefined
      ? []
      : [`the same is in ${snapshotHere} on this host: to copy it from there costs nothing`]),
  ];
}

/** The same for programs. */
export function extractPlanJson(plan: ExtractPlan) {
  const { paths, to, toFree, snapshotHere } = plan;
  return {
    ...scratchPlanJson(plan),
    paths: paths.map(shownPath),
    to: { path: to.path, free: toFree },
    snapshot_here: snapshotHere ?? null,
  };
}

/** What was extracted. */
export function extractReport(plan: ExtractPlan, { copied, bytes, failure, missing }: ExtractOutcome) {
  const { subvolume, newest, chain, to } = plan;
  const what = copied.length === 1 ? shownPath(copied[0] ?? '') : formatCount(copied.length, 'path');
  return {
    text: `extracted ${what} (${formatSize(bytes)}) of ${subvolume} as of ${readableTimestamp(newest.manifest.created_at)} to ${to.path}`,
    json: {
      subvolume,
      to: to.path,
      chain: chain.map(({ key }) => key),
      fetched_bytes: plan.bytes,
      copied: copied.map(shownPath),
      bytes,
      problem: failure?.message ?? null,
      missing,
    },
  };
}
