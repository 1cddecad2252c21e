/** What every step script does around its work: flags, settings, root, lock, log, signals, and from an error to an exit code. */
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { describeError, exitCodeOf, ToolError } from '../../../lib/core/errors.ts';
import { formatDuration } from '../../../lib/core/units.ts';
import { type Lock, takeLock } from '../../../lib/edge/files/lock.ts';
import { listenForStop, Stopped } from '../processes/stop.ts';
import { repositoryRoot } from '../test-directory.ts';
import { isRoot, runAsRoot } from './elevate.ts';
import { type HarnessSettings, readHarnessSettings } from './harness-settings.ts';
import { type Places, placesIn } from './places.ts';
import { openStepLog, type StepLog } from './step-log.ts';

/** An option of a step besides `--config` and `--help`. */
export interface StepOption {
  readonly type: 'string' | 'boolean';
  /** What stands for the value in the help. */
  readonly value?: string;
  readonly about: string;
}

/** A step script. */
export interface StepDefinition<Name extends string> {
  /** File name under testing/scripts/, without `.ts`. */
  readonly name: string;
  /** What it does, for `--help`; lines of at most 100 characters. */
  readonly summary: string;
  readonly options?: Readonly<Record<Name, StepOption>>;
  /** True where a signal must not cut the work short, because what is done after it is the clean-up. */
  readonly cleansUp?: true;
  readonly run: (step: Step<Name>) => Promise<void>;
}

/** Handed to a step's `run`. */
export interface Step<Name extends string = never> {
  readonly name: string;
  readonly settings: HarnessSettings;
  readonly places: Places;
  /** The text of an option, or `true` for a flag that is given. */
  readonly options: Readonly<Partial<Record<Name, string>>>;
  readonly log: StepLog;
  readonly signal: AbortSignal;
}

/** After a signal: for children to end, and for the last lines of the log. */
const graceMs = 3000;
const defaultConfig = 'testing/config/test.env';
const defaultPath = join(repositoryRoot, defaultConfig);
/** Set by a run for its steps: the process that holds the lock. */
export const lockHolderVariable = 'BTRFS_TO_S3_HARNESS_LOCKED_BY';

/** Runs a step and ends the process with the exit code that `--help` documents. */
export async function runStep<Name extends string = never>(definition: StepDefinition<Name>): Promise<void> {
  process.exit(await exitCodeOfStep(definition));
}

async function exitCodeOfStep<Name extends string>(definition: StepDefinition<Name>): Promise<number> {
  const { name } = definition;
  let report = (line: string) => void process.stderr.write(`${line}\n`);
  let signal: AbortSignal | undefined;
  try {
    const { own, config, help } = parse(definition);
    if (help) {
      process.stdout.write(helpText(definition));
      return 0;
    }
    const settings = await readHarnessSettings(config);
    if (!isRoot()) return await runAsRoot();
    signal = listenForStop();
    if (!definition.cleansUp) endSoonAfter(signal);
    const places = placesIn(settings.runDirectory);
    const lock = await lockUnlessHeld(places);
    try {
      const log = openStepLog(places.logs, name, (line) => process.stdout.write(`${line}\n`));
      report = (line) => {
        log.note(line);
        process.stderr.write(`${line} (log: ${relative(repositoryRoot, log.path)})\n`);
      };
      log.note(`${name} begins, with ${settings.file}`);
      const startedMs = performance.now();
      await definition.run({ name, settings, places, options: own, log, signal });
      signal.throwIfAborted();
      log.note(`${name} is done, in ${formatDuration((performance.now() - startedMs) / 1000)}`);
      return 0;
    } finally {
      await lock?.release();
    }
  } catch (error) {
    // What a stop breaks may surface first; the stop is what happened.
    const reason = signal?.aborted ? signal.reason : error;
    report(
      `${name}: ${reason instanceof ToolError || !(reason instanceof Error) ? describeError(reason) : reason.message}`,
    );
    return reason instanceof Stopped ? reason.exitCode : exitCodeOf(reason);
  }
}

/** A tree that is being compared cannot be stopped, and need not: teardown removes it. */
function endSoonAfter(signal: AbortSignal): void {
  const end = () => process.exit(signal.reason instanceof Stopped ? signal.reason.exitCode : 1);
  signal.addEventListener('abort', () => setTimeout(end, graceMs).unref());
}

/** A step of a run goes under the run's lock; it has no business of its own when the run was killed. */
async function lockUnlessHeld({ runDirectory }: Places): Promise<Lock | undefined> {
  const holder = process.env[lockHolderVariable];
  if (holder === undefined) return takeLock(runDirectory);
  if (Number(holder) === process.ppid) return undefined;
  throw new Error('the run that this step belongs to is gone');
}

function parse<Name extends string>({ name, options = {} as never }: StepDefinition<Name>) {
  const known: Readonly<Record<string, StepOption>> = options;
  const types = Object.fromEntries(Object.entries(known).map(([option, { type }]) => [option, { type }]));
  try {
    const { values } = parseArgs({
      options: { ...types, config: { type: 'string' }, help: { type: 'boolean' } },
    });
    const { config = defaultPath, help, ...rest } = values as Record<string, string | boolean>;
    const own = Object.fromEntries(Object.entries(rest).map(([option, value]) => [option, String(value)]));
    return { own: own as Partial<Record<Name, string>>, config: String(config), help: help === true };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split(/\.?\n|\. /)[0] : String(cause);
    throw new ToolError(`${reason}`, { kind: 'usage', hint: `see: ${commandLine(name)} --help`, cause });
  }
}

function commandLine(name: string): string {
  return `node --import tsx testing/scripts/${name}.ts`;
}

function helpText<Name extends string>({ name, summary, options }: StepDefinition<Name>): string {
  const rows = Object.entries<StepOption>(options ?? {}).map(([option, { value, about }]) => [
    `--${option}${value ? ` ${value}` : ''}`,
    about,
  ]);
  rows.push(['--config FILE', `harness settings (default: ${defaultConfig})`], ['--help', 'this text']);
  const width = Math.max(...rows.map(([left = '']) => left.length)) + 3;
  return `Usage: ${commandLine(name)} [options]

${summary}

${rows.map(([left = '', about = '']) => `  ${left.padEnd(width)}${about}`).join('\n')}

Needs root, or sudo -n. Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 another run of the harness is under way,
128 + n stopped by signal n.
`;
}
