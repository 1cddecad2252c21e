/** A manifest in which a test changes one thing. */
import { manifestOfDay } from './samples.ts';

/** A JSON object of which tests change whatever they like. */
export type Json = Record<string, unknown>;

/** The incremental backup of day 2. */
export const incremental = () => structuredClone(manifestOfDay(2)) as unknown as Json;

/** Sets `chunks.0.size` and the like; undefined removes the field. */
export function set(target: Json, path: string, value: unknown): Json {
  const names = path.split('.');
  const last = names.pop() ?? '';
  const owner = names.reduce((at, name) => at[name] as Json, target);
  if (value === undefined) delete owner[last];
  else owner[last] = value;
  return target;
}
