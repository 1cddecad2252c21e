/** The error for a frame that its programs cannot decode, although its bytes are those of the manifest. */
import { ToolError } from '../../core/errors.ts';
import type { ManifestChunk } from '../../core/format/manifest.ts';

/** Damage, unless nothing was wrong with the bytes: the run was stopped, or a program is not installed. */
export function undecodable(
  error: unknown,
  { key }: ManifestChunk,
  index: number,
  signal: AbortSignal,
): unknown {
  if (signal.aborted || !(error instanceof ToolError) || error.hint !== undefined) return error;
  const problem = `is damaged: frame ${index + 1} cannot be decoded: ${error.message}`;
  return new ToolError(`chunk ${key} ${problem}`, {
    kind: 'damage',
    problem,
    hint: 'make verify DEEP=1 shows all that is affected; AT= restores an earlier backup',
    childOutput: error.childOutput ?? '',
    cause: error,
  });
}
