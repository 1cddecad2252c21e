/** The snapshot that an estimate takes for a moment, and deletes again unless it is killed. */
import { createHash } from 'node:crypto';
import type { SettingValues } from '../../core/settings/settings.ts';

/**
 * Its name: that of no backup's snapshot begins with a dot. Each RUN_DIR has a name of its own, and one run at a time, so what is there
 * under it is left over; another settings file may be measuring in the same SNAPSHOT_DIR.
 */
export function estimateSnapshotName(subvolume: string, { RUN_DIR }: Pick<SettingValues, 'RUN_DIR'>): string {
  return `.estimate-${subvolume}-${createHash('sha256').update(RUN_DIR).digest('hex').slice(0, 8)}`;
}
