/** What the doctor looks at, and what it finds: a line each, with the command or setting that mends it. */
import { describeError, ToolError } from '../../../core/errors.ts';
import type { Log } from '../../../transfer/transfer-context.ts';

/** `skipped`: nothing was learned, and nothing has to be done. */
export type Verdict = 'fine' | 'doubtful' | 'broken' | 'skipped';

/** What was found. */
export interface Finding {
  readonly verdict: Verdict;
  readonly says: string;
  /** What mends it. */
  readonly cure?: string | undefined;
}

/** One look at one thing. */
export interface Check {
  readonly name: string;
  /** @throws ToolError, which becomes a finding; its hint is the cure */
  readonly look: (signal: AbortSignal) => Promise<readonly Finding[]>;
}

/** A finding, and where it belongs. */
export interface Diagnosis extends Finding {
  readonly check: string;
}

/** All is well. */
export function fine(says: string): Finding {
  return { verdict: 'fine', says };
}

/** It works, but deserves attention. */
export function doubtful(says: string, cure?: string): Finding {
  return { verdict: 'doubtful', says, cure };
}

/** It does not work. */
export function broken(says: string, cure?: string): Finding {
  return { verdict: 'broken', says, cure };
}

/** It was not looked at, for a reason. */
export function skipped(says: string): Finding {
  return { verdict: 'skipped', says };
}

/** An error as a finding. What a child process said last is the cause. */
export function failure(error: unknown): Finding {
  if (!(error instanceof ToolError)) return broken(describeError(error));
  const last = error.childOutput?.split('\n').at(-1);
  return broken(last === undefined ? error.message : `${error.message}: ${last}`, error.hint);
}

/** A log for code that warns: its warnings are findings, of which the part behind the first semicolon is the cure. */
export function listen(): { readonly log: Log; readonly warnings: readonly Finding[] } {
  const warnings: Finding[] = [];
  const warn = (line: string) => {
    const at = line.indexOf('; ');
    warnings.push(at === -1 ? doubtful(line) : doubtful(line.slice(0, at), line.slice(at + 2)));
  };
  return { log: { debug: () => undefined, info: () => undefined, warn }, warnings };
}
