/** Where the harness restores to. */
import { join } from 'node:path';
import type { Places } from '../runner/places.ts';
import type { RecordedBackup } from '../runner/state.ts';

/** The path of a restored backup. */
export function restoredPath({ restored }: Places, { subvolume, created_at }: RecordedBackup): string {
  return join(restored, `${subvolume}-${created_at}`);
}
