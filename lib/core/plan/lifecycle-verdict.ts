/** What the lifecycle rules of a bucket do to backups: some are missed, some would destroy them. */

import { DAY_MS, formatDuration, formatSize, GIB, MIB } from '../units.ts';
import { type RuleReach, reachOf } from './rule-reach.ts';
import { secondsBeyondRule } from './upload-rate.ts';

/** A rule that is enabled, as far as it matters here. */
export interface LifecycleRule {
  readonly id: string;
  /** Keys that it is about begin with this; empty for all. */
  readonly prefix: string;
  /** True where size or tags decide as well. */
  readonly isPartial: boolean;
  readonly endsUploadsAfterDays: number | undefined;
  /** True where it deletes objects that are in use. */
  readonly expires: boolean;
  /** True where it deletes versions that were replaced or deleted. */
  readonly expiresVersions: boolean;
  /** Storage classes that it moves objects to. */
  readonly movesTo: readonly string[];
}

/** What the rules are held against. */
export interface LifecycleNeeds {
  /** S3_PREFIX; empty for the whole bucket. */
  readonly prefix: string;
  /** The longest upload: CHUNK_SIZE, or the largest stream where that is less. */
  readonly uploadBytes: number;
  /** Of the last backup, in bytes a second; undefined where there was none. */
  readonly rate: number | undefined;
  readonly versions: 'off' | 'enabled' | 'suspended' | 'unknown';
}

/** What is wrong, and what mends it. */
export interface LifecycleProblem {
  readonly level: 'broken' | 'doubtful';
  readonly problem: string;
  readonly cure: string;
}

/** As long as prune waits, and longer than an interrupted run usually takes to resume. */
export const UPLOAD_DAYS = 7;

const archives: readonly string[] = ['GLACIER', 'DEEP_ARCHIVE'];

/** The rule that ends incomplete uploads, as S3 takes it. @param prefix empty for the whole bucket */
export function uploadRule(prefix: string) {
  return {
    ID: 'end-incomplete-uploads',
    Status: 'Enabled',
    Filter: { Prefix: prefix === '' ? '' : `${prefix}/` },
    AbortIncompleteMultipartUpload: { DaysAfterInitiation: UPLOAD_DAYS },
  } as const;
}

/** Judges the enabled rules of a bucket. */
export function judgeLifecycle(
  rules: readonly LifecycleRule[],
  needs: LifecycleNeeds,
): readonly LifecycleProblem[] {
  const below = needs.prefix === '' ? '' : `${needs.prefix}/`;
  const covers = (rule: LifecycleRule) => below.startsWith(rule.prefix);
  const touching = rules.filter((rule) => covers(rule) || rule.prefix.startsWith(below));
  const problems: LifecycleProblem[] = [];
  if (!touching.some((rule) => covers(rule) && rule.endsUploadsAfterDays !== undefined)) {
    problems.push({
      level: 'doubtful',
      problem: 'no rule ends incomplete uploads, and their parts are charged for',
      cure: `add ${JSON.stringify(uploadRule(needs.prefix))} (config/README.md, "Incomplete uploads")`,
    });
  }
  for (const rule of touching) problems.push(...problemsOf(rule, needs));
  if (needs.versions === 'enabled' && !touching.some((rule) => covers(rule) && rule.expiresVersions)) {
    problems.push({
      level: 'doubtful',
      problem:
        'the bucket keeps what prune deletes as versions, which are charged for, and no rule ends them',
      cure: 'add a rule with NoncurrentVersionExpiration, or suspend versioning',
    });
  }
  return problems;
}

function problemsOf(rule: LifecycleRule, needs: LifecycleNeeds): readonly LifecycleProblem[] {
  const problems: LifecycleProblem[] = [];
  const reach = reachOf(rule.prefix, needs.prefix);
  const name = `rule "${rule.id}"`;
  const where = needs.prefix === '' ? 'this bucket' : `${needs.prefix}/`;
  if (rule.endsUploadsAfterDays !== undefined && reach.chunks) {
    const short = tooShort(rule.endsUploadsAfterDays, needs);
    if (short) problems.push({ ...short, problem: `${name} ${short.problem}` });
  }
  if (rule.expires && reach.backups) {
    problems.push({
      level: rule.isPartial ? 'doubtful' : 'broken',
      problem: `${name} deletes objects below ${where}: backups become unrestorable`,
      cure: 'take this prefix out of the rule; make prune deletes what is old, and nothing that is needed',
    });
  }
  const archive = rule.movesTo.find((each) => archives.includes(each));
  const harm = archive === undefined ? undefined : harmOfArchiving(reach);
  if (harm !== undefined) {
    problems.push({
      level: rule.isPartial || !harm.isOfBackups ? 'doubtful' : 'broken',
      problem: `${name} moves objects below ${where} to ${archive}, ${harm.says}`,
      cure: `take this prefix out of the rule${reach.chunks ? `, and set STORAGE_CLASS_CHUNKS=${archive}` : ''}`,
    });
  }
  return problems;
}

/** What must stay readable and would not be; undefined for a rule that is about chunks alone, which may be archived by it as well. */
function harmOfArchiving({
  manifests,
  recovery,
  drills,
}: RuleReach): { readonly says: string; readonly isOfBackups: boolean } | undefined {
  if (manifests) return { says: 'manifests among them: no command could read them', isOfBackups: true };
  if (recovery) {
    return {
      says: 'among them RESTORE.txt or recover.sh, which backups read and a recovery begins with',
      isOfBackups: true,
    };
  }
  if (drills) return { says: 'the records of drills among them: they could not be read', isOfBackups: false };
  return undefined;
}

/** Whether an upload lasts longer than a rule lets it live. */
function tooShort(days: number, { uploadBytes, rate }: LifecycleNeeds): LifecycleProblem | undefined {
  const seconds = (days * DAY_MS) / 1000;
  const ends = `ends uploads after ${days === 1 ? 'a day' : `${days} days`}`;
  const size = formatSize(uploadBytes);
  if (rate === undefined) {
    if (days >= UPLOAD_DAYS) return undefined;
    return {
      level: 'doubtful',
      problem: `${ends}: below ${formatSize(Math.ceil(uploadBytes / seconds))}/s a chunk of ${size} is lost before it is complete`,
      cure: `set its DaysAfterInitiation to ${UPLOAD_DAYS} or more`,
    };
  }
  const takes = secondsBeyondRule({ streamBytes: uploadBytes, chunkSizeBytes: uploadBytes, rate }, days);
  if (takes === undefined) return undefined;
  const enough = Math.max(UPLOAD_DAYS, Math.ceil((takes / seconds) * days) + 1);
  const smaller = chunkSetting((rate * seconds) / 2);
  return {
    level: 'broken',
    problem: `${ends}, but a chunk of ${size} takes ${formatDuration(takes)} at the last rate, ${formatSize(Math.round(rate))}/s: it is lost before it is complete`,
    cure: `set its DaysAfterInitiation to ${enough} or more${smaller}`,
  };
}

/** A smaller chunk as the settings have it; empty where S3 takes none as small. */
function chunkSetting(bytes: number): string {
  if (bytes >= GIB) return `, or CHUNK_SIZE=${Math.floor(bytes / GIB)}GiB`;
  return bytes >= 5 * MIB ? `, or CHUNK_SIZE=${Math.floor(bytes / MIB)}MiB` : '';
}
