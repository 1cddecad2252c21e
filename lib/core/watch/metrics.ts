/** What METRICS_FILE says, made from the records of the last runs and of the bucket alone: docs/monitoring.md lists the metrics. */
import { parseTimestamp } from '../format/names.ts';
import { TOOL } from '../format/tool.ts';
import { exposition, type Gauge, type Sample } from './exposition.ts';
import type { SubvolumeHealth } from './health.ts';
import type { RunRecord, SubvolumeRun } from './run-record.ts';

/** What is known when metrics are written. */
export interface KnownFacts {
  readonly bucket: string;
  readonly prefix: string;
  /** The last run of each command. */
  readonly runs: readonly RunRecord[];
  readonly health: Readonly<Record<string, SubvolumeHealth>>;
  /** How often to verify and to drill, in seconds; undefined: never. */
  readonly verifyEverySeconds: number | undefined;
  readonly drillEverySeconds: number | undefined;
}

/** The text of METRICS_FILE. */
export function metricsText(known: KnownFacts): string {
  const { bucket, prefix } = known;
  const place = { bucket, prefix };
  const ofHealth = (value: (health: SubvolumeHealth) => number | null | undefined) =>
    samplesOf(place, known.health, value);
  const ofRuns = (command: string, value: (run: SubvolumeRun) => number | null | undefined) =>
    samplesOf(place, known.runs.find((run) => run.command === command)?.subvolumes ?? {}, value);
  const ofCommands = (value: (run: RunRecord) => number): readonly Sample[] =>
    known.runs.map((run) => ({ labels: { ...place, command: run.command }, value: value(run) }));
  const samples: Readonly<Record<keyof typeof helps, readonly Sample[]>> = {
    info: [{ labels: { ...place, version: TOOL.version }, value: 1 }],
    newest_backup_timestamp_seconds: ofHealth(({ newest }) => newest && secondsOf(newest.created_at)),
    newest_backup_size_bytes: ofHealth(({ newest }) => newest?.bytes),
    backup_due_timestamp_seconds: ofHealth(({ due }) => due && secondsOf(due.at)),
    chain_length: ofHealth(({ chain }) => chain?.backups),
    chain_size_bytes: ofHealth(({ chain }) => chain?.bytes),
    chain_restorable: ofHealth(({ newest, why_not }) => newest && Number(why_not === null)),
    stored_bytes: ofHealth(({ stored_bytes }) => Object.values(stored_bytes).reduce((a, b) => a + b, 0)),
    storage_cost_dollars_per_month: ofHealth(({ dollars_per_month }) => dollars_per_month),
    backup_last_success_timestamp_seconds: ofRuns('backup', ({ ok_at }) => secondsOf(ok_at)),
    backup_duration_seconds: ofRuns('backup', ({ published }) => published?.seconds),
    backup_rate_bytes_per_second: ofRuns(
      'backup',
      ({ published }) => published && Math.round(published.bytes / Math.max(1, published.seconds)),
    ),
    verify_last_success_timestamp_seconds: ofRuns('verify', ({ ok_at }) => secondsOf(ok_at)),
    verify_due_timestamp_seconds: dueOf(known.verifyEverySeconds, (every) =>
      ofRuns('verify', ({ ok_at }) => secondsOf(ok_at) + every),
    ),
    verify_sound: ofRuns('verify', ({ outcome }) =>
      outcome === 'sound' ? 1 : outcome === 'damaged' ? 0 : undefined,
    ),
    drill_last_timestamp_seconds: ofHealth(({ drill }) => drill && secondsOf(drill.at)),
    drill_due_timestamp_seconds: dueOf(known.drillEverySeconds, (every) =>
      // Without a drill the first is due when the chain began.
      ofHealth(({ drill, chain }) =>
        drill ? secondsOf(drill.at) + every : chain && secondsOf(chain.full_at) + every,
      ),
    ),
    drill_sound: ofHealth(({ drill }) => drill && Number(drill.is_sound)),
    last_run_timestamp_seconds: ofCommands(({ finished_at }) => secondsOf(finished_at)),
    last_run_duration_seconds: ofCommands(
      ({ started_at, finished_at }) => secondsOf(finished_at) - secondsOf(started_at),
    ),
    last_run_exit_code: ofCommands(({ exit_code }) => exit_code),
  };
  const gauges = Object.entries(helps).map(
    ([name, help]): Gauge => ({
      name: `btrfs_to_s3_${name}`,
      help,
      samples: samples[name as keyof typeof helps],
    }),
  );
  return exposition(gauges);
}

/** What each metric is, without the prefix `btrfs_to_s3_`. */
const helps = {
  info: 'Version of the tool that wrote this file.',
  newest_backup_timestamp_seconds: 'When the snapshot of the newest published backup was taken.',
  newest_backup_size_bytes: 'Bytes of the newest published backup.',
  backup_due_timestamp_seconds: 'When the next backup is due.',
  chain_length: 'Backups that a restore of the newest one needs.',
  chain_size_bytes: 'Bytes that a restore of the newest backup fetches.',
  chain_restorable: '1 while the newest backup can be restored, 0 when its chain is broken.',
  stored_bytes: 'Bytes in the bucket.',
  storage_cost_dollars_per_month: 'Price of storing them for a month, in US dollars.',
  backup_last_success_timestamp_seconds: 'When make backup last succeeded, whether or not a backup was due.',
  backup_duration_seconds: 'Time from planning to publishing the last backup of this host.',
  backup_rate_bytes_per_second: 'Bytes of that backup for each second of that time.',
  verify_last_success_timestamp_seconds: 'When make verify last found everything sound.',
  verify_due_timestamp_seconds: 'When the next make verify is due, by VERIFY_EVERY.',
  verify_sound: '1 when the last make verify found everything sound, 0 when it found damage.',
  drill_last_timestamp_seconds: 'When the last drill began that came to a conclusion.',
  drill_due_timestamp_seconds: 'When the next drill is due, by DRILL.',
  drill_sound: '1 when the last drill restored the backup, 0 when it found damage.',
  last_run_timestamp_seconds: 'When the last run of a command ended.',
  last_run_duration_seconds: 'How long the last run of a command took.',
  last_run_exit_code: 'Exit code of the last run of a command; 0 is success.',
} as const;

/** The names of all metrics, with their prefix. */
export const metricNames: readonly string[] = Object.keys(helps).map((name) => `btrfs_to_s3_${name}`);

function samplesOf<Facts>(
  place: Readonly<Record<string, string>>,
  bySubvolume: Readonly<Record<string, Facts>>,
  value: (facts: Facts) => number | null | undefined,
): readonly Sample[] {
  return Object.entries(bySubvolume).flatMap(([subvolume, facts]) => {
    const found = value(facts);
    return found === null || found === undefined || Number.isNaN(found)
      ? []
      : [{ labels: { ...place, subvolume }, value: found }];
  });
}

function dueOf(every: number | undefined, samples: (every: number) => readonly Sample[]): readonly Sample[] {
  return every === undefined ? [] : samples(every);
}

/** Seconds since 1970 of ISO 8601, or of a timestamp as keys have it; NaN where there is none. */
function secondsOf(time: string | null): number {
  if (time === null) return Number.NaN;
  return (parseTimestamp(time)?.getTime() ?? Date.parse(time)) / 1000;
}
