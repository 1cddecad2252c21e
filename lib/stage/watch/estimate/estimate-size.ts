/** How many bytes the next backup will send. */
import { join } from 'node:path';
import { formatTimestamp, snapshotName } from '../../../core/format/names.ts';
import { sentShare } from '../../../core/format/new-extents.ts';
import { deleteSubvolume, makeReadOnly, takeSnapshot } from '../../../edge/btrfs/btrfs.ts';
import { findNewExtents, measureStream } from '../../../edge/btrfs/measure-stream.ts';
import { pathExists } from '../../../edge/files/files.ts';
import { estimateSnapshotName } from '../../backup/estimate-snapshot.ts';
import type { BackupOrigin } from '../../backup/snapshot.ts';
import { shouldSendCompressed } from '../../backup/upload/upload-plan.ts';
import type { StageContext } from '../../context.ts';

/** An estimate. */
export interface SizeEstimate {
  readonly bytes: number;
  /** `measured`: by btrfs send without data. `guessed`: from a listing of extents alone. */
  readonly how: 'measured' | 'guessed';
  /** True where extents that are stored compressed, whose length on disk is only known about, are sent as they are. */
  readonly isCompressed: boolean;
}

/** A stream of nothing but changed times has some commands too. */
const leastBytes = 1024;

/** Reads a listing of extents, and changes nothing: for a dry run. @throws ToolError */
export async function guessSize(context: StageContext, origin: BackupOrigin): Promise<SizeEstimate> {
  const { settings, signal } = context;
  const extents = await findNewExtents(origin.path, origin.parent?.generation ?? 0, signal);
  const isCompressed = (await shouldSendCompressed(settings.COMPRESSED_SEND)) && extents.compressedBytes > 0;
  const share = isCompressed ? sentShare(extents) : 1;
  const bytes = Math.max(leastBytes, Math.round(extents.bytes * share));
  return { bytes, how: 'guessed', isCompressed };
}

/**
 * Measures the stream. Where no snapshot is there yet it takes one for that time, under a name of its own in SNAPSHOT_DIR, and deletes it.
 * @throws ToolError; no snapshot is left then
 */
export async function measureSize(
  context: StageContext,
  subvolume: string,
  origin: BackupOrigin,
): Promise<SizeEstimate> {
  const { toTake } = origin;
  if (!toTake) return measureSnapshot(context, origin.path, origin);
  const temporaryName = estimateSnapshotName(subvolume, context.settings);
  const path = join(toTake.into, temporaryName);
  // What an estimate has left that was killed.
  if (await pathExists(path)) await deleteSubvolume(path);
  // A read-only snapshot would inherit the received UUID.
  await takeSnapshot(toTake.takeOf, path, toTake.isReceived ? 'writable' : 'read-only');
  try {
    if (toTake.isReceived) await makeReadOnly(path);
    const estimate = await measureSnapshot(context, path, origin);
    // The stream begins with the name of its snapshot.
    const name = snapshotName(
      subvolume,
      formatTimestamp(context.now()),
      origin.parent ? 'incremental' : 'full',
    );
    return { ...estimate, bytes: estimate.bytes + name.length - temporaryName.length };
  } finally {
    await deleteSubvolume(path);
  }
}

async function measureSnapshot(
  { settings, signal }: StageContext,
  snapshotPath: string,
  { parent }: BackupOrigin,
): Promise<SizeEstimate> {
  const compressedData = await shouldSendCompressed(settings.COMPRESSED_SEND);
  const { dataBytes, otherBytes } = await measureStream(
    { snapshotPath, parentPath: parent?.path, compressedData },
    signal,
  );
  const extents = compressedData
    ? await findNewExtents(snapshotPath, parent?.generation ?? 0, signal)
    : undefined;
  const share = extents ? sentShare(extents) : 1;
  const isCompressed = extents !== undefined && extents.compressedBytes > 0;
  return { bytes: otherBytes + Math.round(dataBytes * share), how: 'measured', isCompressed };
}
