/** Two writers under one prefix: the first to store something keeps it. */
import { ToolError } from '../core/errors.ts';

/** The failure of whoever came second. @param what it found: `x exists already` */
export function anotherWriter(what: string, cause?: unknown): ToolError {
  return new ToolError(`another writer was first: ${what}; nothing of theirs was touched`, {
    hint: 'give each host its own S3_PREFIX; the next make backup plans anew on what is there',
    cause,
  });
}
