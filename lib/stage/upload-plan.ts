/** Before the first byte: how the stream is cut, how it is sent, and what an earlier run left that is of use. */
import { ToolError } from '../core/errors.ts';
import { chooseLayout, type Layout } from '../core/part-sizes.ts';
import { type EarlierUpload, replayJournal, sameUpload, unfinishedUploads } from '../core/resume.ts';
import type { SnapshotFile, UploadIdentity } from '../core/run-files.ts';
import { canSendCompressed } from '../edge/btrfs.ts';
import type { MultipartUpload } from '../edge/chunk-writer.ts';
import { readJournal } from '../edge/journal.ts';
import type { RunDirectory } from '../edge/run-directory.ts';
import type { StageContext } from './context.ts';

/** How one upload is done. */
export interface UploadPlan {
  readonly layout: Layout;
  readonly identity: UploadIdentity;
  readonly compressedData: boolean;
  /** Undefined when nothing was uploaded yet, or what was is of no use. */
  readonly earlier: EarlierUpload | undefined;
  /** Multipart uploads of ours in this bucket that nobody will go on with. */
  readonly superseded: readonly MultipartUpload[];
}

/**
 * Plans the upload of a prepared snapshot.
 * @throws ToolError when COMPRESSED_SEND asks for what kernel or btrfs-progs cannot do.
 */
export async function planUpload(
  { settings, bucket, log }: StageContext,
  run: RunDirectory,
  snapshot: SnapshotFile,
): Promise<UploadPlan> {
  const layout = chooseLayout(settings.CHUNK_SIZE, settings.PART_SIZE);
  const identity = {
    snapshot_uuid: snapshot.snapshot.uuid,
    parent_uuid: snapshot.parent?.uuid ?? null,
    server: bucket.server,
    bucket: bucket.name,
    prefix: bucket.prefix,
    storage_class: settings.STORAGE_CLASS_CHUNKS,
    sse: settings.SSE,
    chunk_size: layout.chunkSizeBytes,
    part_size: layout.partSizeBytes,
  };
  const earlier = replayJournal(await readJournal(run.journalPath));
  const reusable = earlier.identity !== undefined && sameUpload(earlier.identity, identity);
  if (earlier.identity && !reusable) log.info('the settings have changed: the upload begins again');
  const compressedData = await shouldSendCompressed(settings.COMPRESSED_SEND);
  const sameBucket =
    earlier.identity?.server === identity.server && earlier.identity.bucket === identity.bucket;
  const superseded = !reusable && sameBucket ? unfinishedUploads(earlier) : [];
  return { layout, identity, compressedData, earlier: reusable ? earlier : undefined, superseded };
}

async function shouldSendCompressed(setting: 'auto' | 'true' | 'false'): Promise<boolean> {
  if (setting === 'false') return false;
  if (await canSendCompressed()) return true;
  if (setting === 'auto') return false;
  throw new ToolError('COMPRESSED_SEND=true needs kernel and btrfs-progs 6.0 or newer', {
    hint: 'use COMPRESSED_SEND=auto',
  });
}
