/** What a step says: to the terminal what a person wants to see, to its log everything, with the time. */
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** One step's voice. */
export interface StepLog {
  readonly path: string;
  /** A line for the person who watches. */
  say(line: string): void;
  /** A line for the log alone. */
  note(line: string): void;
}

/**
 * Opens `NAME.log` in `directory`, which is made, and appends to it.
 * @param show takes whole lines, without their line break.
 */
export function openStepLog(directory: string, name: string, show: (line: string) => void): StepLog {
  mkdirSync(directory, { recursive: true });
  const path = join(directory, `${name}.log`);
  // At once and in order: the last line before a kill is the one that is looked for.
  const note = (line: string) =>
    appendFileSync(path, `${new Date().toISOString()} ${line}\n`, { mode: 0o600 });
  return {
    path,
    note,
    say(line) {
      note(line);
      show(line);
    },
  };
}
