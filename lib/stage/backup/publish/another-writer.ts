/** A chunk that cannot be stored under its key, so that its backup is given up: another writer's is there, or nothing may be replaced. */
import { ToolError } from '../../../core/errors.ts';

/** The failure of whoever came second. @param what it found: `x exists already` */
export function anotherWriter(what: string, cause?: unknown): ToolError {
  return new ToolError(`another writer was first: ${what}; nothing of theirs was changed`, {
    hint: 'give each host its own S3_PREFIX; if it was an earlier run of this host with other settings, the next make backup plans again',
    cause,
  });
}

/** The failure of a backup that has to store a chunk anew with credentials that may not. @param cause names the key */
export function mayNotReplace(cause: Error): ToolError {
  return new ToolError(`this backup is given up: ${cause.message}`, {
    hint: 'run make backup: it starts another one; make prune removes what this one stored',
    cause,
  });
}
