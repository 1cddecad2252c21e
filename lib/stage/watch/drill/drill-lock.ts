/**
 * One drill of a subvolume at a time on this host. A drill may wait for a thaw and fetch for days; a second one would request, fetch and store
 * the same chain again. The lock is not that of the host: backups run meanwhile. The kernel drops it with the process.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { refuseMissingMount } from '../../../edge/btrfs/mounts/missing-mount.ts';
import { type Lock, takeLock } from '../../../edge/files/lock.ts';
import type { StageContext } from '../../context.ts';

/**
 * Takes it, in RUN_DIR/@drill/ ("@" cannot be in the name of a subvolume). One RUN_DIR may serve drills of several buckets and
 * prefixes, which have nothing to do with each other.
 * @throws ToolError (locked) while another drill of this subvolume runs
 */
export async function lockDrill(
  { settings: { RUN_DIR }, bucket }: Pick<StageContext, 'settings' | 'bucket'>,
  subvolume: string,
): Promise<Lock> {
  await refuseMissingMount('RUN_DIR', RUN_DIR);
  const place = `${bucket.name}/${bucket.prefix}/${subvolume}`;
  const name = createHash('sha256').update(place).digest('hex').slice(0, 16);
  return takeLock(join(RUN_DIR, '@drill', name), `another drill of ${subvolume}`);
}
