/** Runs the tool as its users do: `make`, with a settings file. */
import { relative } from 'node:path';
import { plainEnvironment } from '../processes/plain-environment.ts';
import { type CommandOutcome, runCommand } from '../processes/run-command.ts';
import { repositoryRoot } from '../test-directory.ts';
import type { HarnessSettings } from './harness-settings.ts';
import type { Places } from './places.ts';
import type { Step } from './run-step.ts';

const markVariable = 'BTRFS_TO_S3_HARNESS';

/** The variable by which the processes of a run are found again, as it stands in their environment. */
export function markOf({ runDirectory }: Places): string {
  return `${markVariable}=${runDirectory}`;
}

/**
 * The environment of everything that a run starts. With a server of the harness's own nothing of the person's AWS settings is
 * in it; with `env` all of them are, because the server is opened by them.
 */
export function harnessEnvironment(settings: HarnessSettings, places: Places): Record<string, string> {
  const aws = Object.entries(process.env).flatMap(([name, value]) =>
    name.startsWith('AWS_') && value !== undefined ? [[name, value]] : [],
  );
  const environment = plainEnvironment({
    [markVariable]: places.runDirectory,
    BTRFS_TO_S3_HARNESS_RUN_DIR: places.runDirectory,
  });
  if (settings.server !== 'env') return environment;
  for (const name of Object.keys(environment)) if (name.startsWith('AWS_')) delete environment[name];
  return { ...environment, ...Object.fromEntries(aws) };
}

/** What a target was to do. */
export interface MakeOptions {
  /** `KEY=VALUE` for make; by default CONFIG is the tool's settings of the run. */
  readonly variables?: readonly string[];
  /** The exit code of the script that has to come out. */
  readonly exitCode?: number;
}

/**
 * Runs a target, and leaves what it says in the log.
 * @returns the outcome with the exit code of the script that ran: make's own says only that one failed.
 * @throws the Stopped when the step was stopped meanwhile
 */
export async function tryMake(
  step: Step<string>,
  target: string,
  { variables = [] }: MakeOptions = {},
): Promise<CommandOutcome> {
  const { settings, places, log } = step;
  const config = `CONFIG=${relative(repositoryRoot, places.toolSettings)}`;
  const command = [
    'make',
    target,
    ...(variables.some((pair) => pair.startsWith('CONFIG=')) ? [] : [config]),
    ...variables,
  ];
  log.note(`$ ${command.join(' ')}`);
  const outcome = await runCommand({
    command: command as [string, ...string[]],
    environment: harnessEnvironment(settings, places),
    signal: step.signal,
    onLine: (line) => log.note(`| ${line}`),
  });
  step.signal.throwIfAborted();
  const exitCode = scriptExitCode(outcome);
  log.note(`exit code ${exitCode}, after ${outcome.seconds.toFixed(1)} s`);
  return { ...outcome, exitCode };
}

/** Runs a target that has to end with an exit code, 0 by default. @throws when it does not, with its last lines */
export async function make(
  step: Step<string>,
  target: string,
  options: MakeOptions = {},
): Promise<CommandOutcome> {
  const expected = options.exitCode ?? 0;
  const outcome = await tryMake(step, target, options);
  if (outcome.exitCode === expected) return outcome;
  const errors = outcome.lines.filter((line) => line.startsWith('ERROR'));
  const last =
    errors.length > 0 ? errors : outcome.lines.filter((line) => !line.startsWith('make: ')).slice(-3);
  throw new Error(
    `make ${[target, ...(options.variables ?? [])].join(' ')}: exit code ${outcome.exitCode} instead of ${expected}: ${last.join(' / ')}`,
  );
}

/** `make: *** [Makefile:9: restore] Error 5` shows the exit code of the script; several targets, that of the last. */
function scriptExitCode({ exitCode, lines }: CommandOutcome): number | null {
  if (exitCode !== 2) return exitCode;
  // A script that was killed shows the name of the signal.
  const codes = lines.flatMap(
    (line) => /^make: \*\*\* .*\] (?:Error (\d+)|Killed)$/.exec(line)?.slice(1) ?? [],
  );
  return codes.length > 0 ? Number(codes.at(-1) ?? 128 + 9) : exitCode;
}
