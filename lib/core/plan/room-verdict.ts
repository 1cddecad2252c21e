/** Whether a filesystem has so little room left that the next run will fail, or soon will. */
import { GIB, MIB } from '../units.ts';

/**
 * `full`: the next file may not fit. `low`: below a twentieth, and below 10 GiB, which a large disk may well do for years. A small filesystem is
 * judged by its size.
 */
export function judgeRoom(freeBytes: number, totalBytes: number): 'enough' | 'low' | 'full' {
  if (freeBytes < Math.min(64 * MIB, totalBytes / 100)) return 'full';
  return freeBytes < Math.min(10 * GIB, totalBytes / 20) ? 'low' : 'enough';
}
