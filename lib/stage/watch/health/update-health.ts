/** The record of how the bucket looked. */
import type { HealthFile } from '../../../core/watch/health.ts';
import type { WatchFiles } from '../../../edge/files/watch-files.ts';
import type { StageContext } from '../../context.ts';
import { lookAtBucket } from './look-at-bucket.ts';

/** Looks at the bucket, and keeps what it said. @throws ToolError when it cannot be asked; the record stays as it was then */
export async function updateHealth(context: StageContext, files: WatchFiles): Promise<HealthFile> {
  const { name, prefix } = context.bucket;
  const subvolumes = Object.fromEntries(await lookAtBucket(context));
  const file: HealthFile = { version: 1, place: `${name}/${prefix}`, subvolumes };
  await files.writeHealth(file);
  return file;
}
