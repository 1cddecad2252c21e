/** Runs a command line as a person would type it, and shows it with what it answers. */
import { type CommandOutcome, runCommand } from '../processes/run-command.ts';
import type { Narrator } from './narrator.ts';

/** What a command line needs around it. */
export interface CommandSurroundings {
  readonly narrator: Narrator;
  readonly environment: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/**
 * Runs `line` in the checkout's root with bash.
 * @throws when it ends with anything but exit code 0, and the Stopped when the run is stopped meanwhile.
 */
export async function runLine(
  line: string,
  { narrator, environment, signal }: CommandSurroundings,
): Promise<CommandOutcome> {
  signal.throwIfAborted();
  narrator.command(line);
  const outcome = await runCommand({
    command: ['bash', '-euo', 'pipefail', '-c', line],
    environment,
    signal,
    onLine: (text) => narrator.answer(text),
  });
  signal.throwIfAborted();
  if (outcome.exitCode !== 0) {
    throw new Error(`this command ended with exit code ${outcome.exitCode}: ${line}`);
  }
  return outcome;
}
