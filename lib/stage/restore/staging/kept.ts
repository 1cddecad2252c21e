/** With SPOOL_DIR: where the parts of the stream under way are kept, and whether there is room for them. */
import { mkdir } from 'node:fs/promises';
import type { StoredManifest } from '../../../core/format/manifest.ts';
import { formatSize } from '../../../core/units.ts';
import { mountOf } from '../../../edge/btrfs/mounts/mounts.ts';
import { fileError, pathExists } from '../../../edge/files/files.ts';
import { KeptParts } from '../../../edge/files/kept-parts.ts';
import type { StageContext } from '../../context.ts';
import { freeBytes, streamBytes } from '../room.ts';
import type { RestoreRecord } from './record.ts';

/**
 * Where parts of the next stream are kept: there where an earlier restore has kept some, else in a fresh directory below SPOOL_DIR.
 * @returns undefined without either; `mayGrow` is false where there is no room for more
 * @throws ToolError when SPOOL_DIR cannot be used
 */
export async function partsToKeep(
  context: StageContext,
  record: RestoreRecord,
  next: StoredManifest,
  stagingPath: string,
): Promise<{ readonly parts: KeptParts; readonly mayGrow: boolean } | undefined> {
  const spool = context.settings.SPOOL_DIR;
  const earlier = record.file.kept_parts;
  if (earlier !== null && (await pathExists(earlier))) {
    const parts = KeptParts.at(earlier);
    return {
      parts,
      mayGrow: spool !== undefined && (await hasRoom(context, next, parts, spool, stagingPath)),
    };
  }
  if (spool === undefined) return undefined;
  await makeSpoolDirectory(spool);
  const parts = KeptParts.below(spool);
  await record.write({ kept_parts: parts.directory });
  return { parts, mayGrow: await hasRoom(context, next, parts, spool, stagingPath) };
}

/** Makes SPOOL_DIR where it is missing. @throws ToolError when it cannot be made */
export async function makeSpoolDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
    throw fileError(
      `cannot use SPOOL_DIR ${path}`,
      cause,
      'set SPOOL_DIR to a directory that can be written',
    );
  });
}

/** Without room for a whole stream nothing of it is kept: a spool that fills the disk of TARGET would end what it is to save. */
async function hasRoom(
  { log }: StageContext,
  next: StoredManifest,
  parts: KeptParts,
  spool: string,
  stagingPath: string,
): Promise<boolean> {
  const [here, there] = await Promise.all([mountOf(spool), mountOf(stagingPath)]);
  const besides = here.device === there.device ? streamBytes(next) : 0;
  const needed = next.manifest.total_bytes - (await parts.bytes()) + besides;
  const free = await freeBytes(spool);
  if (free >= needed) return true;
  log.warn(
    `SPOOL_DIR ${spool} has ${formatSize(free)} free where ${formatSize(needed)} are needed: parts of the backup of ${next.manifest.created_at} are not kept`,
  );
  return false;
}
