/** A prune for people and for programs: what goes and why, what that frees, and what is still charged for it. */

import { readableTimestamp } from '../../core/format/names.ts';
import type { Charge } from '../../core/plan/prune/minimum-duration.ts';
import { ORPHAN_DAYS, type Orphans } from '../../core/plan/prune/orphans.ts';
import { bytesOf, type PlannedGeneration, type PrunePlan } from '../../core/plan/prune/prune-plan.ts';
import { formatCount, formatSize } from '../../core/units.ts';
import type { Versioning } from '../../edge/s3/bucket/bucket-properties.ts';
import type { PruneOutcome } from '../../stage/bucket/apply-prune.ts';
import type { PruneSurvey } from '../../stage/bucket/prune.ts';
import { formatTable } from './table.ts';

/** What was planned and, by subvolume, what was done of it; nothing is done by a plan. */
export interface PruneReport {
  readonly bucket: { readonly name: string; readonly prefix: string };
  readonly keep: number;
  readonly survey: PruneSurvey;
  readonly outcomes: ReadonlyMap<string, PruneOutcome> | undefined;
  /** The subvolume that is retired; undefined for a prune. */
  readonly retired?: string | undefined;
  /** Names that SUBVOLUMES has; undefined where it is not set, as on a host that only prunes. */
  readonly selected?: readonly string[] | undefined;
}

/** The JSON document that docs/json.md describes; its names do not change. Sizes are bytes, times are those of the keys. */
export function pruneDocument({ bucket, keep, survey, outcomes, retired }: PruneReport) {
  return {
    bucket: bucket.name,
    prefix: bucket.prefix,
    retired: retired ?? null,
    keep_generations: keep,
    orphan_days: ORPHAN_DAYS,
    versioning: survey.versioning,
    applied: outcomes !== undefined,
    subvolumes: survey.plans.map((plan) => ({
      name: plan.subvolume,
      blocked: plan.blocked?.problem ?? null,
      generations: plan.generations.map((generation) => ({
        created_at: generation.createdAt,
        manifest_key: generation.key,
        backups: generation.backups,
        objects: generation.objects,
        bytes: generation.bytes,
        action: generation.action,
        reason: generation.reason,
        ...chargedFields(generation.charge),
      })),
      broken: plan.broken.map(({ key, problem }) => ({ manifest_key: key, problem })),
      orphans: plan.orphans.map((orphans) => ({
        manifest_key: orphans.manifestKey,
        objects: orphans.objects.length,
        bytes: bytesOf(orphans.objects),
        uploads: orphans.uploads.length,
        action: orphans.action,
        reason: orphans.reason,
        ...chargedFields(orphans.charge),
      })),
      removed: outcomes?.get(plan.subvolume) ?? null,
    })),
  };
}

function chargedFields(charge: Charge | undefined) {
  return { charged_days: charge?.daysLeft ?? 0, charged_gib_months: charge?.gibMonths ?? 0 };
}

/** A plan for people: what goes and what stays, as tables, and what that comes to; shown before anything is deleted. */
export function planText(report: PruneReport, willApply: boolean): string {
  const { bucket, survey } = report;
  const { plans } = survey;
  if (plans.length === 0) return `nothing to prune in ${bucket.name} under ${bucket.prefix}/`;
  const generations = plans.flatMap((plan) =>
    plan.generations.map((generation) => generationRow(plan, generation)),
  );
  const orphans = plans.flatMap((plan) => plan.orphans.map((each) => orphansRow(plan, each)));
  const tables = [
    ...(generations.length > 0 ? [formatTable(generationHeading, generations)] : []),
    ...(orphans.length > 0 ? [formatTable(orphansHeading, orphans)] : []),
  ];
  return [...tables, [...unselectedLines(report), planLine(survey, willApply)].join('\n')].join('\n\n');
}

/** Chains that nothing is added to any more, and that no rule removes. */
function unselectedLines({ survey, selected, retired }: PruneReport): readonly string[] {
  if (selected === undefined || retired !== undefined) return [];
  const names = survey.plans.map(({ subvolume }) => subvolume).filter((name) => !selected.includes(name));
  return names.map(
    (name) => `${name} is not in SUBVOLUMES: its last backups stay until make prune RETIRE=${name}`,
  );
}

/** The notice for a bucket that keeps versions: deleting alone frees nothing there. */
export function versioningNotice(versioning: Versioning): string | undefined {
  const cure =
    'until a lifecycle rule (NoncurrentVersionExpiration) removes them; Object Lock may keep them longer';
  if (versioning === 'enabled') {
    return `the bucket keeps versions: what is deleted is only hidden, and its versions are charged for ${cure}`;
  }
  if (versioning !== 'suspended') return undefined;
  return `the bucket has kept versions: those of what is deleted stay, and are charged for ${cure}`;
}

const generationHeading = [
  'SUBVOLUME',
  'GENERATION',
  { title: 'BACKUPS', leaveOut: 1 },
  { title: 'OBJECTS', leaveOut: 3 },
  'SIZE',
  'ACTION',
  { title: 'CHARGED', leaveOut: 2 },
  'WHY',
];
const orphansHeading = [
  'SUBVOLUME',
  'ORPHANS OF',
  { title: 'OBJECTS', leaveOut: 3 },
  'SIZE',
  { title: 'UPLOADS', leaveOut: 1 },
  'ACTION',
  { title: 'CHARGED', leaveOut: 2 },
  'WHY',
];

function generationRow(plan: PrunePlan, generation: PlannedGeneration): readonly string[] {
  const { createdAt, backups, objects, bytes, action, reason, charge } = generation;
  return [
    plan.subvolume,
    readableTimestamp(createdAt),
    String(backups),
    String(objects),
    formatSize(bytes),
    action,
    formatCharge(charge),
    reason,
  ];
}

function orphansRow(plan: PrunePlan, orphans: Orphans): readonly string[] {
  return [
    plan.subvolume,
    orphans.manifestKey.split('/').slice(-2).join('/'),
    String(orphans.objects.length),
    formatSize(bytesOf(orphans.objects)),
    String(orphans.uploads.length),
    orphans.action,
    formatCharge(orphans.charge),
    orphans.reason,
  ];
}

function planLine({ plans, versioning }: PruneSurvey, willApply: boolean): string {
  const generations = plans.flatMap((plan) => plan.generations).filter(({ action }) => action === 'remove');
  const orphans = plans.flatMap((plan) => plan.orphans).filter(({ action }) => action === 'remove');
  if (generations.length === 0 && orphans.length === 0) return 'nothing to remove';
  const bytes =
    generations.reduce((sum, generation) => sum + generation.bytes, 0) +
    orphans.reduce((sum, { objects }) => sum + bytesOf(objects), 0);
  const gibMonths = [...generations, ...orphans].reduce(
    (sum, { charge }) => sum + (charge?.gibMonths ?? 0),
    0,
  );
  const uploads = orphans.reduce((sum, each) => sum + each.uploads.length, 0);
  const objects =
    generations.reduce((sum, generation) => sum + generation.objects, 0) +
    orphans.reduce((sum, each) => sum + each.objects.length, 0);
  const charged = gibMonths > 0 ? `; S3 still charges ${formatGibMonths(gibMonths)} for them` : '';
  return `to remove: ${formatCount(generations.length, 'generation')}, ${formatCount(objects, 'object')}, ${formatCount(uploads, 'unfinished upload')}; ${versioning === 'enabled' ? 'hides' : 'frees'} ${formatSize(bytes)}${charged}${willApply ? '' : '\nnothing was changed; APPLY=1 (--apply) does it'}`;
}

/** What was removed, for people. */
export function doneText(outcomes: readonly PruneOutcome[]): string {
  const sum = (of: (outcome: PruneOutcome) => number) =>
    outcomes.reduce((total, outcome) => total + of(outcome), 0);
  const manifests = formatCount(
    sum((outcome) => outcome.manifests),
    'manifest',
  );
  const objects = formatCount(
    sum((outcome) => outcome.objects),
    'other object',
  );
  const uploads = formatCount(
    sum((outcome) => outcome.uploads),
    'unfinished upload',
  );
  return `removed: ${manifests}, ${objects}, ${uploads}; ${formatSize(sum(({ bytes }) => bytes))}`;
}

function formatCharge(charge: Charge | undefined): string {
  if (!charge || charge.daysLeft === 0) return '';
  return `${formatGibMonths(charge.gibMonths)} (${formatCount(charge.daysLeft, 'day')} left)`;
}

function formatGibMonths(gibMonths: number): string {
  return `${gibMonths < 0.01 ? 'less than 0.01' : gibMonths.toFixed(2)} GiB-months`;
}
