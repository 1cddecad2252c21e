/** Decides whether bytes are right, and reads them again where not; the error for bytes that stay wrong. */
import { ToolError } from '../../core/errors.ts';

/** Readings of a part or a chunk that is each time another than the one that was uploaded. */
const mostReadings = 5;

/**
 * Reads bytes with a wrong digest again: they may have changed on the way. The same wrong bytes twice are those in the
 * bucket.
 */
export async function isOrBecomes(
  expected: string | undefined,
  digest: () => Promise<string>,
  again: () => Promise<void>,
): Promise<boolean> {
  const seen = new Set<string>();
  for (let found = await digest(); found !== expected; found = await digest()) {
    if (seen.has(found) || seen.size + 1 === mostReadings) return false;
    seen.add(found);
    await again();
  }
  return true;
}

/** The error for bytes that are not those of the manifest. */
export function damagedBytes(what: string, problem: string): ToolError {
  return new ToolError(`${what} is damaged: ${problem}`, {
    kind: 'damage',
    problem: `is damaged: ${problem}`,
    hint: 'make verify DEEP=1 shows all that is affected; AT= restores an earlier backup',
  });
}
