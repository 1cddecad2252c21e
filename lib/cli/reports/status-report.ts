/** What `status.ts` prints: one screen of 80 columns, or a document. */
import { parseTimestamp } from '../../core/format/names.ts';
import { formatDollars } from '../../core/prices/costs.ts';
import type { SettingValues } from '../../core/settings/settings.ts';
import { formatCount, formatDuration, formatSize } from '../../core/units.ts';
import type { SubvolumeRun } from '../../core/watch/run-record.ts';
import type { HostStatus, SubvolumeStatus } from '../../stage/watch/health/status.ts';
import { labelled } from './labelled.ts';

/** Where the backups are, and what is done how often. */
export interface StatusPlace
  extends Pick<SettingValues, 'PRUNE_EVERY' | 'KEEP_GENERATIONS' | 'VERIFY_EVERY' | 'DRILL'> {
  readonly bucket: string;
  readonly prefix: string;
  readonly now: Date;
}

/** The screen. */
export function statusText({ subvolumes, runs, complaints }: HostStatus, place: StatusPlace): string {
  const blocks = subvolumes.map((subvolume) => blockOf(subvolume, place).join('\n'));
  const nothing = `no backups in ${place.bucket} under ${place.prefix}/`;
  const pruned = runs.find(({ command }) => command === 'prune')?.done_at ?? undefined;
  const general = generalLines({ subvolumes, complaints }, pruneText(pruned, place)).join('\n');
  return [...(blocks.length === 0 ? [nothing] : blocks), general].join('\n\n');
}

function blockOf(
  { name, isSelected, health, verify, unfinished, complaints }: SubvolumeStatus,
  place: StatusPlace,
) {
  const { now, VERIFY_EVERY, DRILL } = place;
  const ago = (ms: number) => `${formatDuration((now.getTime() - ms) / 1000)} ago`;
  const lines = [`${name}${isSelected ? '' : '  (not in SUBVOLUMES)'}`];
  const say = (label: string, text: string) => lines.push(...labelled(label, text));
  if (health?.newest) {
    const { kind, created_at, bytes } = health.newest;
    const ms = msOf(created_at);
    say('newest backup', `${kind} of ${minuteOf(ms)}, ${ago(ms)}, ${formatSize(bytes)}`);
  }
  if (health?.due && health.newest) {
    const ms = Date.parse(health.due.at);
    const isPast = ms <= now.getTime();
    const when = isPast ? 'now' : `in ${formatDuration((ms - now.getTime()) / 1000)}`;
    say('next', `${health.due.kind}, due ${isPast ? 'since ' : ''}${minuteOf(ms)}, ${when}`);
  }
  if (unfinished !== undefined) {
    const next = unfinished.isResumed
      ? 'make backup resumes it'
      : 'nothing resumes it, and make doctor says what to do';
    say('unfinished', `an upload of ${minuteOf(msOf(unfinished.created_at))}: ${next}`);
  }
  if (health?.chain) {
    const { backups, bytes, full_at } = health.chain;
    say('chain', `${formatCount(backups, 'backup')} since ${minuteOf(msOf(full_at))}, ${formatSize(bytes)}`);
  }
  if (health) {
    const classes = Object.keys(health.stored_bytes).sort().join(', ');
    say(
      'stored',
      `${formatSize(storedBytes(health.stored_bytes))} (${classes}), ${costText(health.dollars_per_month)}`,
    );
  }
  const every = VERIFY_EVERY === 'never' ? 'VERIFY_EVERY=never' : `due every ${formatDuration(VERIFY_EVERY)}`;
  say('last verify', verify ? verifyText(verify, ago) : `not known here; ${every}`);
  const drill = health?.drill;
  say(
    'last drill',
    drill
      ? `${drill.is_sound ? 'sound' : 'DAMAGED'} ${minuteOf(Date.parse(drill.at))}, ${ago(Date.parse(drill.at))}`
      : `${health?.drills_failed ? 'none that came to a conclusion' : 'never'}; DRILL=${DRILL}`,
  );
  for (const { text } of complaints) say('WRONG', text);
  return lines;
}

function verifyText({ outcome, finished_at, ok_at }: SubvolumeRun, ago: (ms: number) => string): string {
  const [ms, verdict] =
    outcome === 'sound' && ok_at !== null
      ? [Date.parse(ok_at), 'sound']
      : [Date.parse(finished_at), outcome === 'damaged' ? 'DAMAGED' : outcome];
  return `${verdict} ${minuteOf(ms)}, ${ago(ms)}`;
}

/** What prunes by itself cannot be known, as it may be cron; when it last did is. @param doneAt ISO 8601 */
function pruneText(doneAt: string | undefined, { PRUNE_EVERY, KEEP_GENERATIONS, now }: StatusPlace): string {
  const generations = formatCount(KEEP_GENERATIONS, 'generation');
  if (PRUNE_EVERY === 'never') {
    return `nothing prunes, as PRUNE_EVERY=never; make prune shows what is beyond ${generations}`;
  }
  const ms = Date.parse(doneAt ?? '');
  const last = Number.isNaN(ms)
    ? 'none was made here yet: its timer, cron or you must call make prune IF_DUE=1 APPLY=1'
    : `the last was ${minuteOf(ms)}, ${formatDuration((now.getTime() - ms) / 1000)} ago`;
  return `due every ${formatDuration(PRUNE_EVERY)}, keeps ${generations}; ${last}`;
}

function generalLines(
  { subvolumes, complaints }: Pick<HostStatus, 'subvolumes' | 'complaints'>,
  prune: string,
): readonly string[] {
  const costs = subvolumes.map(({ health }) => (health ? health.dollars_per_month : 0));
  const sum = costs.every((cost) => cost !== null)
    ? costs.reduce((total: number, cost) => total + (cost ?? 0), 0)
    : null;
  const wrong = subvolumes.reduce((count, each) => count + each.complaints.length, complaints.length);
  return [
    ...labelled('in all', costText(sum), 0),
    ...labelled('prune', prune, 0),
    ...complaints.flatMap(({ text }) => labelled('WRONG', text, 0)),
    ...labelled(
      'state',
      wrong === 0 ? 'nothing is known to be wrong' : `${formatCount(wrong, 'thing')} wrong`,
      0,
    ),
  ];
}

function costText(dollars: number | null): string {
  return dollars === null ? 'price not known (set PRICES)' : `${formatDollars(dollars)} a month`;
}

function storedBytes(byClass: Readonly<Record<string, number>>): number {
  return Object.values(byClass).reduce((sum, bytes) => sum + bytes, 0);
}

/** The document, whose fields docs/json.md names. */
export function statusJson(
  { subvolumes, runs, complaints: general }: HostStatus,
  place: StatusPlace,
): unknown {
  return {
    bucket: place.bucket,
    prefix: place.prefix,
    subvolumes: subvolumes.map(({ name, isSelected, health, verify, unfinished, complaints }) => ({
      name,
      selected: isSelected,
      newest: health?.newest ?? null,
      due: health?.due ?? null,
      chain: health?.chain ?? null,
      stored_bytes: health?.stored_bytes ?? {},
      dollars_per_month: health?.dollars_per_month ?? null,
      verified_at: verify?.ok_at ?? null,
      drill: health?.drill ?? null,
      drills_failed: health?.drills_failed ?? null,
      unfinished: unfinished?.created_at ?? null,
      wrong: complaints.map(({ text }) => text),
    })),
    runs: runs.map(({ command, finished_at, exit_code, problem }) => ({
      command,
      finished_at,
      exit_code,
      problem,
    })),
    wrong: general.map(({ text }) => text),
    prune_every_seconds: place.PRUNE_EVERY === 'never' ? null : place.PRUNE_EVERY,
  };
}

function msOf(timestamp: string): number {
  return parseTimestamp(timestamp)?.getTime() ?? Number.NaN;
}

/** To the minute, UTC. */
function minuteOf(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
