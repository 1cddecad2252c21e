/**
 * The one error type that users are meant to read, and the one place where an error becomes an exit code.
 * Everything that is not a ToolError is a defect of the program and is reported as such.
 */

/** What went wrong, in the terms of the exit codes: `usage` covers bad settings as well as bad flags. */
export type FailureKind = 'failed' | 'usage' | 'locked' | 'damage' | 'thaw' | 'interrupted';

const exitCodes = {
  failed: 1,
  usage: 2,
  locked: 3,
  damage: 4,
  thaw: 5,
  interrupted: 130,
} as const satisfies Record<FailureKind, number>;

/** Details of a ToolError besides its one line. */
export interface ToolErrorDetails {
  readonly kind?: FailureKind;
  /** What is wrong with the object that was looked at, without its place: for lists that name the object themselves. */
  readonly problem?: string;
  /** What to do next, naming the command or the setting. */
  readonly hint?: string;
  /** True for a message of several lines, each a failure of its own; any other line break came in with a name. */
  readonly isList?: boolean;
  /** What a child process wrote to stderr; shown below the line. */
  readonly childOutput?: string;
  readonly cause?: unknown;
}

/** A failure with a line for the user: what failed and where, and a hint that says what to do. */
export class ToolError extends Error {
  override readonly name = 'ToolError';
  readonly kind: FailureKind;
  readonly problem: string;
  readonly hint: string | undefined;
  readonly childOutput: string | undefined;
  readonly isList: boolean;

  constructor(message: string, details: ToolErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.kind = details.kind ?? 'failed';
    this.problem = details.problem ?? message;
    this.hint = details.hint;
    this.isList = details.isList ?? false;
    this.childOutput = details.childOutput?.trim() || undefined;
  }
}

/** The exit code that scripts document for this error; anything unknown is 1. */
export function exitCodeOf(error: unknown): number {
  return error instanceof ToolError ? exitCodes[error.kind] : 1;
}

/** The exit code of a run in which several things failed: the most telling one, damage first. */
export function worstExitCode(errors: readonly unknown[]): number {
  return worstOfCodes(errors.map(exitCodeOf));
}

/** The most telling of some exit codes. What only has to wait, for a lock or a thaw, must not hide what has failed. */
export function worstOfCodes(codes: readonly number[]): number {
  const order: readonly number[] = [130, 4, 2, 1, 3, 5];
  return order.find((code) => codes.includes(code)) ?? 0;
}

/** The error's one line, with its hint: `what; hint`. */
export function describeError(error: unknown): string {
  if (error instanceof ToolError) return error.hint ? `${error.message}; ${error.hint}` : error.message;
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
