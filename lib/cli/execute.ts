/** What every script does around its stage: settings, lock, signals, and from an error to an exit code. */
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import type { Logger } from 'pino';
import { exitCodeOf } from '../core/errors.ts';
import type { SelectedSubvolume } from '../core/settings/rules.ts';
import type { SettingValues } from '../core/settings/settings.ts';
import { readHostId } from '../edge/btrfs/host-identity.ts';
import { takeLock } from '../edge/files/lock.ts';
import { endingWithin } from '../edge/process/abort-scope.ts';
import { demandRoot } from '../edge/process/privileges.ts';
import { TransferMemory } from '../transfer/memory/transfer-memory.ts';
import { forEachSubvolume, selectSubvolumes } from './for-each-subvolume.ts';
import { createLog, isPretty, logError } from './log.ts';
import { refuseCommonName } from './options/common-name.ts';
import { loadSettings } from './options/load-settings.ts';
import { type OptionValues, parseOptions } from './options/parse-options.ts';
import type { ScriptDefinition } from './options/script-definition.ts';
import { reportOutages } from './outage-report.ts';
import { startBottomLine, startLines } from './progress.ts';
import { listenForSignals, signalNumbers } from './signals.ts';
import type { RunWatch } from './watch/run-watch.ts';
import { watchedCommand } from './watch/watched-commands.ts';

/** Runs a script; gives the exit code that `--help` documents. */
export async function execute<Name extends string>(definition: ScriptDefinition<Name>): Promise<number> {
  const script = definition.file.replace(/\.ts$/, '');
  const errors: string[] = [];
  const onError = (line: string) => void (errors.length < mostErrors && errors.push(line));
  let log = await createLog({ script, format: 'auto', level: 'info', onError });
  let watch: RunWatch | undefined;
  const stopped = listenForSignals();
  // The progress bar: a terminal that is closed takes only the listener away.
  process.stderr.on('error', () => undefined);
  const ended = async (exitCode: number) => {
    await watch?.end(exitCode);
    return exitCode;
  };
  try {
    const { own, config, sets, json } = parseOptions(definition.file, definition.options);
    if (definition.root) await demandRoot();
    const { values, check } = await loadSettings(config, sets);
    const [format, level] = [values.LOG_FORMAT ?? 'auto', values.LOG_LEVEL ?? 'info'];
    log = await createLog({ script, format, level, onError });
    watch = await startWatch(definition.file, { own, values, log, errors });
    for (const line of await check(definition.needs)) log.warn(line);
    const subvolumes = subvolumesOf(definition, values, own);
    // A dry run changes nothing, so it need not wait, and leaves no RUN_DIR behind.
    const lock = isLocked(definition, own) ? await lockRunDirectory(values.RUN_DIR) : undefined;
    if (lock?.killed) {
      log.warn(
        `the previous run (${lock.killed}) was killed, the machine went down, or RUN_DIR came back with a restore; if memory ran out, journalctl -k says so: lower PART_SIZE or CONCURRENCY`,
      );
    }
    try {
      const prepared = { own, json, log, values, subvolumes, watch, signal: stopped.signal };
      const exitCode = await runWithBucket(definition, prepared);
      const name = stopped.name();
      if (!name) return await ended(exitCode);
      // Not 0: whatever would follow this script, such as the next stage of a backup, must not start.
      log.warn(`${name} arrived after the work had finished`);
      return await ended(128 + signalNumbers[name]);
    } finally {
      await lock?.release();
    }
  } catch (error) {
    const name = stopped.name();
    logError(log, name ? stopped.signal.reason : error);
    return ended(name ? 128 + signalNumbers[name] : exitCodeOf(error));
  }
}

/** As many errors as fit a notification. */
const mostErrors = 20;

/** Begins to watch a run that is to be reported. Where settings are wrong, those that say where to report it may be right. */
async function startWatch(
  file: string,
  {
    own,
    ...run
  }: {
    readonly own: OptionValues<string>;
    readonly values: SettingValues;
    readonly log: Logger;
    readonly errors: readonly string[];
  },
): Promise<RunWatch | undefined> {
  const watched = watchedCommand(file, own);
  if (!watched || !run.values.RUN_DIR) return undefined;
  const { RunWatch } = await import('./watch/run-watch.ts');
  const isWhole = !('subvolume' in own || 'retire' in own);
  const watch = new RunWatch({ watched, hostName: hostname(), isWhole, ...run });
  watch.start();
  return watch;
}

/** What an unfinished backup has left would not be seen in the empty directory below a mount. */
async function lockRunDirectory(directory: string) {
  const { refuseMissingMount } = await import('../edge/btrfs/mounts/missing-mount.ts');
  await refuseMissingMount('RUN_DIR', directory);
  return takeLock(directory);
}

function isLocked<Name extends string>({ locked }: ScriptDefinition<Name>, own: OptionValues<Name>): boolean {
  return typeof locked === 'string' ? locked in own : locked && !('dry-run' in own);
}

/** The subvolumes to work on; scripts that need only the bucket take names that are not in SUBVOLUMES as well. */
function subvolumesOf<Name extends string>(
  { needs }: ScriptDefinition<Name>,
  values: SettingValues,
  own: OptionValues<string>,
): readonly SelectedSubvolume[] {
  return needs === 'bucket' ? [] : selectSubvolumes(values.SUBVOLUMES ?? [], own.subvolume);
}

interface Prepared<Name extends string> {
  readonly own: OptionValues<Name>;
  readonly json: boolean;
  readonly log: Logger;
  readonly values: SettingValues;
  readonly subvolumes: readonly SelectedSubvolume[];
  readonly watch: RunWatch | undefined;
  readonly signal: AbortSignal;
}

async function runWithBucket<Name extends string>(
  definition: ScriptDefinition<Name>,
  { own, json, log, values, subvolumes, watch, signal: stopped }: Prepared<Name>,
): Promise<number> {
  const hostName = hostname();
  const { ending, signal } = endingWithin(stopped);
  // Loading the SDK takes longer than all that comes before it, and what is wrong with the settings is known already.
  const { openBucket } = await import('../edge/s3/s3-client.ts');
  if (!('host-prefix' in own)) refuseCommonName(values, hostName);
  const isOnTerminal = isPretty(values.LOG_FORMAT) && process.stderr.isTTY === true;
  const show = isOnTerminal ? (await import('./bottom-lines.ts')).showLine : undefined;
  const unreachedForMs = definition.needs === 'bucket' ? briefWaitMs : values.RETRY_FOR * 1000;
  const bucket = await openBucket(values, hostName, {
    signal,
    unreachedForMs,
    onNotice: (level, message) => log[level](message),
    ...reportOutages({ log, show }),
  });
  const startProgress = (label: string) =>
    show ? startBottomLine(label, show) : startLines(label, (line) => log.info(line));
  const memory = new TransferMemory(values.CONCURRENCY + 1);
  const context = {
    settings: values,
    bucket,
    memory,
    log,
    startProgress,
    signal,
    now: () => new Date(),
    hostName,
    hostId: await readHostId(),
    checkout: dirname(dirname(process.argv[1] ?? '')),
  };
  try {
    const exitCode = await definition.run({
      context,
      options: own,
      json,
      note: (subvolume, facts) => watch?.note(subvolume, facts),
      skip: () => watch?.skip(),
      logFailure: (failure) => logError(log, failure),
      event: (fields, message) => {
        if (!isPretty(values.LOG_FORMAT)) log.info(fields, message);
      },
      forEachSubvolume: (stage, names) => {
        const meant = names ? subvolumes.filter(({ name }) => names.includes(name)) : subvolumes;
        return forEachSubvolume(meant, stage, log, signal, subvolumes.length > 1);
      },
      forEachOf: (meant, stage) => forEachSubvolume(meant, stage, log, signal),
    });
    await watch?.look(context);
    return exitCode;
  } catch (error) {
    // A drill that has recorded damage.
    if (exitCodeOf(error) === 4) await watch?.look(context);
    throw error;
  } finally {
    // Requests beside one that failed would be repeated, and reported, until they gave up too.
    ending.abort();
    await memory.close();
    bucket.close();
  }
}

/** A backup may run unattended while a host wakes up. Whoever lists or restores waits for the answer, and may have mistyped something. */
const briefWaitMs = 60_000;
