/** The log, on stderr: for people on a terminal, JSON lines for everything else. */
import { type Logger, type LoggerOptions, pino, stdTimeFunctions } from 'pino';
import { describeError, ToolError } from '../core/errors.ts';
import { printable } from '../core/printable.ts';

export interface LogOptions {
  readonly script: string;
  readonly format: 'auto' | 'pretty' | 'json';
  readonly level: 'error' | 'warn' | 'info' | 'debug';
  /** Called with each error that is logged. */
  readonly onError?: (line: string) => void;
}

/** True when lines are for a person. */
export function isPretty(format: LogOptions['format']): boolean {
  return format === 'pretty' || (format === 'auto' && process.stderr.isTTY === true);
}

/** A logger whose lines are written at once, so that none is lost when the process ends. */
export async function createLog({ script, format, level, onError }: LogOptions): Promise<Logger> {
  const destination = pino.destination({ fd: 2, sync: true });
  // A closed terminal, or a full disk under a log file, must not end the work that is logged.
  destination.on('error', () => undefined);
  const logMethod: LogHook = function (words, method, levelOfLine) {
    if (levelOfLine >= errorLevel) onError?.(words.findLast((word) => typeof word === 'string') ?? '');
    method.apply(this, words);
  };
  if (isPretty(format)) {
    const { forPeople } = await import('./pretty-log.ts');
    return pino({ level, base: { script }, hooks: { logMethod } }, forPeople(destination));
  }
  // JSON escapes some of what a terminal obeys, but not all.
  const hooks = { logMethod, streamWrite: (line: string) => `${printable(line.trimEnd())}\n` };
  const formatters = { level: (label: string) => ({ level: label }) };
  return pino(
    { level, base: { script }, timestamp: stdTimeFunctions.isoTime, formatters, hooks },
    destination,
  );
}

type LogHook = NonNullable<NonNullable<LoggerOptions['hooks']>['logMethod']>;

/** The number that pino has for it. */
const errorLevel = 50;

/** Logs an error: one line (of a list: each) for what, where and what to do; a child's last words below; a stack only for defects. */
export function logError(log: Logger, error: unknown, about = ''): void {
  if (!(error instanceof ToolError)) {
    const stack = error instanceof Error ? error.stack : undefined;
    log.error({ childOutput: stack }, `${about}this is a defect of btrfs-to-s3: ${describeError(error)}`);
    return;
  }
  const text = describeError(error);
  const lines = error.isList ? text.split('\n') : [text];
  for (const [index, line] of lines.entries()) {
    const last = index === lines.length - 1;
    log.error(
      { kind: error.kind, ...(last && error.childOutput && { childOutput: error.childOutput }) },
      about + line,
    );
  }
}
