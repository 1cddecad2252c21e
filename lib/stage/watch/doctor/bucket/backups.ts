/** The last backup and the last drill of each subvolume, as the bucket shows them. */
import type { StoredManifest } from '../../../../core/format/manifest.ts';
import { parseTimestamp, readableTimestamp } from '../../../../core/format/names.ts';
import { measuredRate } from '../../../../core/plan/upload-rate.ts';
import { DAY_MS, formatDuration } from '../../../../core/units.ts';
import { RunDirectory } from '../../../../edge/files/run-directory.ts';
import type { Bucket } from '../../../../edge/s3/s3-client.ts';
import { listEverything, readManifest, readPointer } from '../../../bucket/backups.ts';
import { earlierDrills } from '../../drill/records.ts';
import { broken, doubtful, type Finding, failure, fine, skipped } from '../check.ts';
import { type Patient, readsDrills } from '../patient.ts';

/** The last backup of a subvolume; undefined where there is none, or an error where it cannot be read. */
export interface LastOfName {
  readonly name: string;
  readonly stored: StoredManifest | undefined;
  readonly error?: unknown;
}

/** Reads the last backup of each subvolume that is selected, or that the bucket has. */
export async function readLast(bucket: Bucket, { role, settings }: Patient): Promise<readonly LastOfName[]> {
  const selected = role === 'backup' ? settings.SUBVOLUMES?.map(({ name }) => name) : undefined;
  const names = selected ?? (await listEverything(bucket)).names;
  return Promise.all(
    names.map(async (name): Promise<LastOfName> => {
      try {
        const found = await readPointer(bucket, name);
        if (!found) return { name, stored: undefined };
        const key = found.pointer.manifest_key;
        return { name, stored: { key, manifest: await readManifest(bucket, key) } };
      } catch (error) {
        return { name, stored: undefined, error };
      }
    }),
  );
}

/** Bytes a second of the last upload of a subvolume: as it was measured here, else as its manifest tells; undefined where neither does. */
export async function uploadRate(
  { name, stored }: LastOfName,
  { settings }: Patient,
): Promise<number | undefined> {
  const measured = (await new RunDirectory(settings.RUN_DIR, name).readPublished())?.upload_rate;
  if (measured !== undefined || !stored?.manifest.timing) return measured;
  const { timing, total_bytes } = stored.manifest;
  return measuredRate(total_bytes, (Date.parse(timing.finished_at) - Date.parse(timing.started_at)) / 1000);
}

/** Judges how old the last backups are. */
export function judgeLast(last: readonly LastOfName[], { role, settings, now }: Patient): readonly Finding[] {
  if (last.length === 0) return [skipped('there is no backup yet')];
  return last.map(({ name, stored, error }) => {
    if (error !== undefined) return failure(error);
    if (!stored) return skipped(`there is no backup of ${name} yet`);
    const { manifest } = stored;
    const madeMs = parseTimestamp(manifest.created_at)?.getTime() ?? 0;
    const ageSeconds = (now().getTime() - madeMs) / 1000;
    const says = `the last backup of ${name}, ${manifest.kind}, is of ${readableTimestamp(manifest.created_at)}, ${formatDuration(ageSeconds)} ago`;
    const due = settings.INCREMENTAL_EVERY;
    // Twice, and a day for a host that is off at night.
    if (role !== 'backup' || ageSeconds < 2 * due + DAY_MS / 1000) return fine(says);
    return doubtful(
      `${says}, although one is due every ${formatDuration(due)}`,
      `make backup SUBVOLUME=${name} says why`,
    );
  });
}

const staleDrillMs = 180 * DAY_MS;

/** Looks at the last drill of each subvolume that has a backup. */
export async function lookAtDrills(
  bucket: Bucket,
  last: readonly LastOfName[],
  { role, now, hostId, hostName }: Patient,
): Promise<readonly Finding[]> {
  if (!readsDrills(role)) {
    return [skipped(`make ${role} needs no records of drills, and its policy does not let it read them`)];
  }
  const backedUp = last.filter(({ stored }) => stored !== undefined);
  if (backedUp.length === 0) return [skipped('there is no backup yet')];
  return Promise.all(
    backedUp.map(async ({ name }): Promise<Finding> => {
      const { last: drill } = await earlierDrills({ bucket, hostId, hostName }, name);
      const cure = `make drill SUBVOLUME=${name}`;
      if (!drill) return doubtful(`no drill has shown yet that ${name} can be restored`, cure);
      const ageMs = now().getTime() - Date.parse(drill.started_at);
      const says = `the last drill of ${name}, ${formatDuration(ageMs / 1000)} ago, found it ${drill.result}`;
      if (drill.result === 'damaged') {
        return broken(
          `${says}: ${drill.problem ?? ''}`,
          `make verify SUBVOLUME=${name}, then make backup KIND=full`,
        );
      }
      return ageMs > staleDrillMs ? doubtful(says, cure) : fine(says);
    }),
  );
}
