/** Ranges that are kept on disk once they are fetched, and read from there by a restore that goes on. */
import { describeError } from '../../core/errors.ts';
import type { KeptParts } from '../../edge/files/kept-parts.ts';
import type { Fetching } from './fetching.ts';

/**
 * The same fetching, with kept parts. What was kept is handed on as what was fetched is, and hashed there; a range that is read a second
 * time was not right, and is fetched.
 * @param mayGrow false uses what is kept and keeps nothing more
 */
export function keepingParts(fetching: Fetching, kept: KeptParts, mayGrow: boolean): Fetching {
  const { context, progress, read } = fetching;
  const seen = new Set<string>();
  let isFull = !mayGrow;
  return {
    ...fetching,
    read: async (range, target, signal) => {
      const name = `${range.key} ${range.offset}`;
      const isFirst = !seen.has(name);
      seen.add(name);
      if (isFirst && (await kept.load(range, target))) {
        progress.add(range.length);
        return;
      }
      await read(range, target, signal);
      if (isFull) return;
      await kept.keep(range, target).catch((error: unknown) => {
        isFull = true;
        context.log.warn(`${describeError(error)}; the restore continues without keeping parts`);
      });
    },
  };
}
