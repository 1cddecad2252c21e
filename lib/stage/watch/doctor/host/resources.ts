/** Room on disk, and memory. */

import { judgeRoom } from '../../../../core/plan/room-verdict.ts';
import { type AdoptedSubvolume, type LiveSubvolume, placeOf } from '../../../../core/settings/rules.ts';
import { chooseLayout } from '../../../../core/stream/part-sizes.ts';
import { formatSize } from '../../../../core/units.ts';
import { refuseMissingMount } from '../../../../edge/btrfs/mounts/missing-mount.ts';
import { roomAt } from '../../../../edge/files/room.ts';
import { type MemoryLimit, readMemoryLimit } from '../../../../edge/process/memory-limit.ts';
import { warnOfDownloadMemory, warnOfUploadMemory } from '../../../memory-need.ts';
import { broken, type Check, doubtful, type Finding, fine, listen } from '../check.ts';
import { type Patient, type Role, touchesBtrfs } from '../patient.ts';

/** The checks of disks and memory. */
export function resourceChecks({ role, settings }: Patient): readonly Check[] {
  const { SUBVOLUMES = [], SPOOL_DIR, RUN_DIR } = settings;
  const sources = role === 'backup' ? SUBVOLUMES : [];
  return [
    ...sources.map((selected: LiveSubvolume | AdoptedSubvolume) => ({
      name: `room for ${selected.name}`,
      look: () =>
        lookAtRoom('', placeOf(selected), 'make room: btrfs filesystem usage shows data and metadata apart'),
    })),
    {
      name: 'RUN_DIR',
      look: () => lookAtRoom('RUN_DIR', RUN_DIR, 'make room, or set RUN_DIR to another disk'),
    },
    ...(SPOOL_DIR === undefined
      ? []
      : [
          {
            name: 'SPOOL_DIR',
            look: () => lookAtRoom('SPOOL_DIR', SPOOL_DIR, 'make room, or set SPOOL_DIR to a larger disk'),
          },
        ]),
    ...(touchesBtrfs(role) ? [{ name: 'memory', look: () => lookAtMemory(settings, role) }] : []),
  ];
}

async function lookAtRoom(what: string, path: string, cure: string): Promise<readonly Finding[]> {
  await refuseMissingMount(what, path);
  const { freeBytes, totalBytes } = await roomAt(path);
  const says = `${formatSize(freeBytes)} of ${formatSize(totalBytes)} are free at ${path}`;
  switch (judgeRoom(freeBytes, totalBytes)) {
    case 'full':
      return [broken(`the filesystem of ${path} is full: ${says}`, cure)];
    case 'low':
      return [doubtful(says, cure)];
    case 'enough':
      return [fine(says)];
  }
}

/** Judges memory as a backup or a restore does before it begins. @param limit what there is, unless it is to be looked up */
export async function lookAtMemory(
  settings: Patient['settings'],
  role: Role,
  limit?: MemoryLimit,
): Promise<readonly Finding[]> {
  const { log, warnings } = listen();
  const least = limit ?? (await readMemoryLimit());
  if (role === 'backup') await warnOfUploadMemory({ settings, log }, least);
  else {
    // The parts of a backup have the size that was set when it was made, which most often is that of today.
    const { partSizeBytes } = chooseLayout(settings.CHUNK_SIZE, settings.PART_SIZE);
    await warnOfDownloadMemory({ settings, log }, `make ${role}`, partSizeBytes, least);
  }
  if (warnings.length > 0) return warnings;
  return [
    fine(
      least
        ? `${least.whose} has ${formatSize(least.bytes)}, which is enough`
        : 'it is not known how much there is',
    ),
  ];
}
