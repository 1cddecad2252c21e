/** The order of the steps, and what happens when one of them fails. */
import { readdir, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { ToolError } from '../../../lib/core/errors.ts';
import { formatDuration } from '../../../lib/core/units.ts';
import { type CommandOutcome, runCommand } from '../processes/run-command.ts';
import { repositoryRoot } from '../test-directory.ts';
import { readHarnessSettings } from './harness-settings.ts';
import { lockHolderVariable, type Step } from './run-step.ts';
import { markOf } from './tool.ts';

/** The options of a whole run. */
export type RunAllOption = 'include-large' | 'include-archive' | 'skip-s3' | 'keep';

const [needsS3, local] = ['S3', 'local'] as const;

/** A script of testing/scripts/, its further arguments, and whether it needs a server. */
const middle: readonly (readonly [string, readonly string[], typeof needsS3 | typeof local])[] = [
  ['seed-data', [], local],
  ['run-full', [], needsS3],
  ['mutate-data', [], local],
  ['run-incremental', [], needsS3],
  ['run-interrupt', [], needsS3],
  ['verify-manifest', [], needsS3],
  ['verify-s3', [], needsS3],
  ['verify-retention', [], needsS3],
  ['run-restore', ['--point', 'full'], needsS3],
  ['run-restore', ['--point', 'latest'], needsS3],
  ['verify-restore', [], needsS3],
];

/** The names of all step scripts, in their order. */
export const stepNames: readonly string[] = [
  'setup-btrfs',
  ...new Set(middle.map(([name]) => name)),
  'cleanup-s3-prefix',
  'teardown-btrfs',
];

/** Runs everything. @throws with the step that failed, after the teardown */
export async function runAll(step: Step<RunAllOption>): Promise<void> {
  const { options, settings, log, places } = step;
  if (options.keep !== undefined && (options['include-large'] ?? options['include-archive']) !== undefined) {
    throw new ToolError('--keep keeps one run: it does not go with --include-large or --include-archive', {
      kind: 'usage',
      hint: 'name the file of the run to keep with --config',
    });
  }
  const configs = [
    settings.file,
    ...(options['include-large'] === undefined ? [] : ['testing/config/test-large.env']),
    ...(options['include-archive'] === undefined ? [] : ['testing/config/test-archive.env']),
  ];
  // All files are read before the first step: a mistake in the last is better known now.
  for (const config of configs) {
    const { runDirectory } = await readHarnessSettings(config);
    if (runDirectory === places.runDirectory) continue;
    throw new ToolError(`${config} has another HARNESS_RUN_DIR than ${settings.file}`, { kind: 'usage' });
  }
  await removeOldLogs(step);
  const startedMs = performance.now();
  for (const config of configs) await runOnce(step, config);
  log.say('');
  log.say(
    `${options['skip-s3'] === undefined ? 'everything' : 'what needs no server'} holds, in ${formatDuration((performance.now() - startedMs) / 1000)}: ${configs.join(', ')}`,
  );
}

async function removeOldLogs({ places, name }: Step<string>): Promise<void> {
  for (const file of await readdir(places.logs)) {
    if (file.endsWith('.log') && file !== `${name}.log`) await rm(join(places.logs, file));
  }
}

async function runOnce(step: Step<RunAllOption>, config: string): Promise<void> {
  const { options, log, signal } = step;
  const skipS3 = options['skip-s3'] !== undefined;
  const keep = options.keep !== undefined;
  log.say('');
  log.say(`${config}`);
  let failure: unknown;
  try {
    await run(step, config, 'setup-btrfs', skipS3 ? ['--skip-s3'] : [], signal);
    for (const [name, args, needs] of middle) {
      if (skipS3 && needs === needsS3) log.say(`  skipped, needs S3: ${name}`);
      else await run(step, config, name, args, signal);
    }
    if (!skipS3 && !keep) await run(step, config, 'cleanup-s3-prefix', [], signal);
  } catch (error) {
    failure = error;
  }
  if (keep) {
    log.say(`kept; to remove it: node --import tsx testing/scripts/teardown-btrfs.ts --config ${config}`);
  } else {
    // To its end also when the run was stopped: it gets no signal but the one that nothing survives.
    const never = new AbortController().signal;
    await run(step, config, 'teardown-btrfs', [], never).catch((error: unknown) => {
      failure ??= error;
    });
  }
  if (failure !== undefined) throw failure;
}

async function run(
  step: Step<RunAllOption>,
  config: string,
  name: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<CommandOutcome> {
  const { places, log } = step;
  signal.throwIfAborted();
  const script = join(import.meta.dirname, `../../scripts/${name}.ts`);
  const mark = markOf(places);
  const equals = mark.indexOf('=');
  const environment = {
    ...(process.env as Record<string, string>),
    [lockHolderVariable]: `${process.pid}`,
    [mark.slice(0, equals)]: mark.slice(equals + 1),
  };
  log.say(`  ${[name, ...args].join(' ')}`);
  const outcome = await runCommand({
    command: [
      process.execPath,
      join(repositoryRoot, 'launcher/start.cjs'),
      relative(repositoryRoot, script),
      '--config',
      config,
      ...args,
    ],
    environment,
    signal,
    onLine: (line) => log.say(`      ${line}`),
  });
  signal.throwIfAborted();
  if (outcome.exitCode === 0) return outcome;
  throw new Error(`${name} failed with exit code ${outcome.exitCode}, with ${config}`);
}
