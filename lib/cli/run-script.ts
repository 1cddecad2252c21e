/** What every script does around its stage: flags, settings, lock, signals, and from an error to an exit code. */
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import type { Logger } from 'pino';
import { exitCodeOf, ToolError, worstExitCode } from '../core/errors.ts';
import type { SelectedSubvolume } from '../core/settings/rules.ts';
import type { SettingValues } from '../core/settings/settings.ts';
import { takeLock } from '../edge/lock.ts';
import { openBucket } from '../edge/s3-client.ts';
import type { StageContext } from '../stage/context.ts';
import { commonOptions, helpText, type OptionDefinition } from './help.ts';
import { loadSettings, type Needs } from './load-settings.ts';
import { createLog, isPretty, logError } from './log.ts';
import { startBar, startLines } from './progress.ts';

/** A script: what it is, what it takes, what it does. */
export interface ScriptDefinition<Name extends string> {
  /** File name under scripts/. */
  readonly file: string;
  readonly summary: string;
  readonly options: Readonly<Record<Name, OptionDefinition>>;
  readonly needs: Needs;
  /** True for what changes this host or the bucket: one such run at a time. */
  readonly locked: boolean;
  /** Does the work and prints the result; a returned number is the exit code. */
  readonly run: (script: RunningScript<Name>) => Promise<number | undefined>;
}

/** Values of a script's own options: text, or `true` for a flag that is given. */
export type OptionValues<Name extends string> = Readonly<Partial<Record<Name, string>>>;

/** Handed to a script's `run`. */
export interface RunningScript<Name extends string> {
  readonly context: StageContext;
  readonly options: OptionValues<Name>;
  readonly json: boolean;
  /**
   * Runs a stage for each selected subvolume, one after the other. A failure is logged and does not stop the others.
   * Gives the results and the exit code of all together.
   */
  readonly forEachSubvolume: <Result>(
    selection: string | undefined,
    stage: (subvolume: SelectedSubvolume) => Promise<Result>,
  ) => Promise<{ readonly results: readonly (readonly [name: string, Result])[]; readonly exitCode: number }>;
}

const signalNumbers = { SIGINT: 2, SIGTERM: 15 } as const;

/** Runs a script and ends the process with the exit code that `--help` documents. */
export async function runScript<Name extends string>(definition: ScriptDefinition<Name>): Promise<void> {
  process.exit(await exitCodeOfRun(definition));
}

async function exitCodeOfRun<Name extends string>(definition: ScriptDefinition<Name>): Promise<number> {
  const script = definition.file.replace(/\.ts$/, '');
  let log = createLog({ script, format: 'auto', level: 'info' });
  const stopped = listenForSignals();
  try {
    const { own, config, sets, json, help } = parseOptions(definition);
    if (help) {
      process.stdout.write(`${helpText(definition.file, definition.summary, definition.options)}\n`);
      return 0;
    }
    const { values, warnings } = await loadSettings(config, sets, definition.needs);
    log = createLog({ script, format: values.LOG_FORMAT, level: values.LOG_LEVEL });
    for (const warning of warnings) log.warn(warning);
    const lock = definition.locked ? await takeLock(values.RUN_DIR) : undefined;
    try {
      return await runWithBucket(definition, { own, json, log, values, signal: stopped.signal });
    } finally {
      await lock?.release();
    }
  } catch (error) {
    const name = stopped.name();
    logError(log, name ? stopped.signal.reason : error);
    return name ? 128 + signalNumbers[name] : exitCodeOf(error);
  }
}

interface Prepared<Name extends string> {
  readonly own: OptionValues<Name>;
  readonly json: boolean;
  readonly log: Logger;
  readonly values: SettingValues;
  readonly signal: AbortSignal;
}

async function runWithBucket<Name extends string>(
  definition: ScriptDefinition<Name>,
  { own, json, log, values, signal }: Prepared<Name>,
): Promise<number> {
  const hostName = hostname();
  const bucket = await openBucket(values, hostName);
  const drawBar = isPretty(values.LOG_FORMAT) && process.stderr.isTTY === true;
  const startProgress = (label: string) =>
    drawBar ? startBar(label) : startLines(label, (line) => log.info(line));
  const context = { settings: values, bucket, log, startProgress, signal, now: () => new Date(), hostName };
  try {
    const exitCode = await definition.run({
      context,
      options: own,
      json,
      forEachSubvolume: (selection, stage) =>
        runForEach(selectSubvolumes(values, selection), stage, log, signal),
    });
    return exitCode ?? 0;
  } finally {
    bucket.close();
  }
}

/** The subvolumes that are meant by `NAME` or `NAME,NAME`; all of SUBVOLUMES when nothing is said. */
function selectSubvolumes(
  values: SettingValues,
  selection: string | undefined,
): readonly SelectedSubvolume[] {
  const all = values.SUBVOLUMES ?? [];
  if (selection === undefined) return all;
  const names = selection.split(',').map((name) => name.trim());
  const unknown = names.filter((name) => !all.some((subvolume) => subvolume.name === name));
  if (unknown.length > 0) {
    throw new ToolError(
      `SUBVOLUME=${selection} selects nothing: there is no "${unknown.join('", "')}" in SUBVOLUMES`,
      {
        kind: 'usage',
        hint: `choose from: ${all.map((subvolume) => subvolume.name).join(', ')}`,
      },
    );
  }
  return all.filter((subvolume) => names.includes(subvolume.name));
}

async function runForEach<Result>(
  subvolumes: readonly SelectedSubvolume[],
  stage: (subvolume: SelectedSubvolume) => Promise<Result>,
  log: Logger,
  signal: AbortSignal,
) {
  const results: [string, Result][] = [];
  const errors: unknown[] = [];
  for (const subvolume of subvolumes) {
    signal.throwIfAborted();
    try {
      results.push([subvolume.name, await stage(subvolume)]);
    } catch (error) {
      signal.throwIfAborted();
      logError(log, error, `${subvolume.name}: `);
      errors.push(error);
    }
  }
  return { results, exitCode: worstExitCode(errors) };
}

function parseOptions<Name extends string>(definition: ScriptDefinition<Name>) {
  const own: Readonly<Record<string, OptionDefinition>> = definition.options;
  const known = Object.fromEntries(
    Object.entries({ ...own, ...commonOptions }).map(([name, { type }]) => [
      name,
      { type, multiple: true as const },
    ]),
  );
  try {
    const { values } = parseArgs({ options: known, allowPositionals: false });
    const last = (name: string) => {
      const value = values[name]?.at(-1);
      return value === undefined ? undefined : String(value);
    };
    const given = Object.keys(own).flatMap((name) => {
      const value = last(name);
      return value === undefined ? [] : [[name, value]];
    });
    return {
      own: Object.fromEntries(given) as OptionValues<Name>,
      config: last('config') ?? 'config/backup.env',
      sets: [
        ...(values.set ?? []).map(String),
        ...(last('sets') ?? '').split(/\s+/).filter((pair) => pair !== ''),
      ],
      json: last('json') !== undefined,
      help: last('help') !== undefined,
    };
  } catch (cause) {
    const reason = cause instanceof Error ? (cause.message.split('. ')[0] ?? '') : String(cause);
    throw new ToolError(reason, {
      kind: 'usage',
      hint: `see: node --import tsx scripts/${definition.file} --help`,
      cause,
    });
  }
}

/** The first signal ends the run in an orderly way, the second at once. */
function listenForSignals() {
  const controller = new AbortController();
  let received: keyof typeof signalNumbers | undefined;
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (received) process.exit(128 + signalNumbers[name]);
      received = name;
      controller.abort(
        new ToolError(`stopped by ${name}`, {
          kind: 'interrupted',
          hint: 'run the same command again to go on',
        }),
      );
    });
  }
  return { signal: controller.signal, name: () => received };
}
