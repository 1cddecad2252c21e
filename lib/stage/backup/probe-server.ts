/**
 * A look at the server before anything is taken or sent, once a run: what it refuses for good is found out with a few small requests, and
 * not at the end of a chunk of 200 GiB. RESTORE.txt is what is written; the key of the upload is of a time before there were backups.
 */
import { ToolError } from '../../core/errors.ts';
import { recoveryTextKey, SubvolumeKeys } from '../../core/format/names.ts';
import { recoveryText } from '../../core/recovery/recovery-text.ts';
import { chooseLayout } from '../../core/stream/part-sizes.ts';
import { equalParts } from '../../edge/s3/explain-error.ts';
import { type Bucket, recoveryPlaceOf, writeOptions } from '../../edge/s3/s3-client.ts';
import type { ServerHabits } from '../../edge/s3/server/habits.ts';
import { probeServer } from '../../edge/s3/server/probe.ts';
import type { StageContext } from '../context.ts';

const noBackup = '19700101T000000Z';

/** By the server's habits, which all copies of its bucket share. */
const probes = new WeakMap<ServerHabits, Promise<void>>();

/**
 * Looks at the server, or says again what was found.
 * @param subvolume below whose keys the upload is begun
 * @throws ToolError that names the setting to change
 */
export async function probeOnce(
  { bucket, settings }: Pick<StageContext, 'bucket' | 'settings'>,
  subvolume: string,
): Promise<void> {
  const known = probes.get(bucket.habits);
  if (known) return known;
  const { chunkSizeBytes, partSizeBytes } = chooseLayout(settings.CHUNK_SIZE, settings.PART_SIZE);
  if (settings.COMPRESS !== 'none' && chunkSizeBytes > partSizeBytes && isR2(bucket)) {
    throw new ToolError(
      `Cloudflare R2 takes only parts of one size, and COMPRESS makes parts of many (${bucket.server})`,
      { hint: equalParts, kind: 'usage' },
    );
  }
  const probe = probeServer(bucket, {
    text: {
      key: recoveryTextKey(bucket.prefix),
      content: recoveryText(recoveryPlaceOf(bucket)),
      options: writeOptions(settings, 'manifest'),
    },
    chunk: {
      key: new SubvolumeKeys(bucket.prefix, subvolume).chunk('full', noBackup, 0),
      options: writeOptions(settings, 'chunks'),
    },
    partSizeBytes,
  });
  probes.set(bucket.habits, probe);
  return probe;
}

/** Only its name tells: no small request does, and it says so itself when all parts of a chunk have been sent. */
function isR2({ isAws, server }: Bucket): boolean {
  return !isAws && /\.r2\.cloudflarestorage\.com$/i.test(new URL(server).hostname);
}
