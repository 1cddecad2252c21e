/** What the two commands share: options in words, and the end. */
import { formatSize, parseSize } from '../../../lib/core/units.ts';
import { Stopped } from '../../harness/processes/stop.ts';

/** Wrong usage, which is said in one line. */
export class UsageError extends Error {}

/** A size such as 2GiB, of at least `leastBytes`. @throws UsageError */
export function readSize(name: string, text: string, leastBytes: number): number {
  const bytes = parseSize(text);
  if (bytes !== undefined && bytes >= leastBytes) return bytes;
  throw new UsageError(
    `${name} must be a size of at least ${formatSize(leastBytes)}, such as 2GiB, got "${text}"`,
  );
}

/** A whole number of at least `least`. @throws UsageError */
export function readCount(name: string, text: string, least: number): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : -1;
  if (count >= least) return count;
  throw new UsageError(`${name} must be a whole number, at least ${least}, got "${text}"`);
}

/** Names, comma-separated, of those there are. @throws UsageError */
export function readNames(name: string, text: string, known: readonly string[]): readonly string[] {
  const names = text.split(',').map((word) => word.trim());
  const unknown = names.filter((word) => !known.includes(word));
  if (unknown.length === 0) return names;
  throw new UsageError(`${name} takes ${known.join(', ')}, got "${unknown.join('", "')}"`);
}

/** Runs a command and sets the exit code: 0, 1 failed, 2 wrong usage, 128 + n stopped by signal n. */
export async function runCommandLine(
  name: string,
  signal: AbortSignal,
  command: () => Promise<void>,
): Promise<void> {
  try {
    await command();
  } catch (error) {
    // What a stop breaks may surface first; the stop is what happened.
    const reason: unknown = signal.aborted ? signal.reason : error;
    process.stderr.write(`${name}: ${reason instanceof Error ? reason.message : String(reason)}\n`);
    const isUsage = reason instanceof UsageError || codeOf(reason).startsWith('ERR_PARSE_ARGS');
    process.exitCode = reason instanceof Stopped ? reason.exitCode : isUsage ? 2 : 1;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
