/** How fast this host uploads, and how long a full backup takes at that rate: measured only where it is asked for. */
import { SubvolumeKeys } from '../../../../core/format/names.ts';
import type { SelectedSubvolume } from '../../../../core/settings/rules.ts';
import { formatDuration, formatSize, MIB } from '../../../../core/units.ts';
import { findNewExtents } from '../../../../edge/btrfs/measure-stream.ts';
import { measureUpload } from '../../../../edge/s3/bucket/rate-probe.ts';
import { type Bucket, writeOptions } from '../../../../edge/s3/s3-client.ts';
import { type Finding, fine } from '../check.ts';
import type { Patient } from '../patient.ts';

/** As long as it takes with a find-new of a large subvolume behind it. */
export const RATE_LIMIT_MS = 300_000;

const probe = { forMs: 10_000, mostBytes: 512 * MIB };
const noBackup = '19700101T000000Z';

/** Measures it. @throws ToolError */
export async function lookAtRate(
  bucket: Bucket,
  { settings }: Patient,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const { SUBVOLUMES = [], CONCURRENCY: concurrency } = settings;
  const key = new SubvolumeKeys(bucket.prefix, SUBVOLUMES[0]?.name ?? 'doctor').chunk('full', noBackup, 1);
  const rate = await measureUpload({ ...bucket, signal }, key, writeOptions(settings, 'chunks'), {
    ...probe,
    concurrency,
  });
  const found = [
    fine(`this host uploads ${formatSize(Math.round(rate))}/s, with CONCURRENCY=${concurrency}`),
  ];
  for (const selected of SUBVOLUMES) {
    const bytes = await dataBytes(selected, signal);
    if (bytes === undefined) continue;
    const time = formatDuration(bytes / rate);
    found.push(
      fine(`a full backup of ${selected.name}, about ${formatSize(bytes)}, takes ${time} at that rate`),
    );
  }
  return found;
}

/** Bytes of a subvolume's file data; undefined for the snapshots of others, of which planning chooses one. */
async function dataBytes(selected: SelectedSubvolume, signal: AbortSignal): Promise<number | undefined> {
  return 'path' in selected ? (await findNewExtents(selected.path, 0, signal)).bytes : undefined;
}
