/** Before the first byte: how the stream is cut, how it is sent, and what an earlier run left that is of use. */
import { statfs } from 'node:fs/promises';
import { ToolError } from '../../../core/errors.ts';
import { isEncoded, zstdLevelOf } from '../../../core/format/codec.ts';
import { tooManyParts } from '../../../core/format/frames.ts';
import type { SnapshotFile, UploadIdentity } from '../../../core/format/run-files.ts';
import { differencesOf, type EarlierUpload, replayJournal } from '../../../core/plan/resume.ts';
import { chooseLayout, type Layout } from '../../../core/stream/part-sizes.ts';
import { canSendCompressed } from '../../../edge/btrfs/btrfs.ts';
import { readRecipients } from '../../../edge/codec/recipients.ts';
import { codecOf, type Encoding } from '../../../edge/codec/steps.ts';
import { readJournal } from '../../../edge/files/journal.ts';
import type { RunDirectory } from '../../../edge/files/run-directory.ts';
import type { MultipartUpload } from '../../../edge/s3/multipart-uploads.ts';
import type { StageContext } from '../../context.ts';
import { uploadsIn } from './give-up-uploads.ts';

/** How one upload is done. */
export interface UploadPlan {
  readonly layout: Layout;
  readonly identity: UploadIdentity;
  readonly compressedData: boolean;
  /** How frames are made of the stream; undefined where it is stored as it is. */
  readonly encoding: Encoding | undefined;
  /** Undefined when nothing was uploaded yet, or what was is of no use. */
  readonly earlier: EarlierUpload | undefined;
  /** ETags, by key, of objects in this bucket that are ours to write over. */
  readonly own: ReadonlyMap<string, string>;
  /** Multipart uploads of ours in this bucket that no run will resume. */
  readonly superseded: readonly MultipartUpload[];
}

/**
 * Plans the upload of a prepared snapshot.
 * @throws ToolError when COMPRESSED_SEND asks for what kernel or btrfs-progs cannot do.
 */
export async function planUpload(
  context: StageContext,
  run: RunDirectory,
  snapshot: SnapshotFile,
): Promise<UploadPlan> {
  const { settings, bucket, log } = context;
  const earlier = replayJournal(await readJournal(run.journalPath));
  const layout = layoutFor(context, earlier);
  const encoding = await encodingOf(context);
  await warnOfParts(context, snapshot, layout, isEncoded(codecOf(encoding)));
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
    ...(bucket.habits.checksums === 'md5' && { checksums: 'md5' as const }),
    // Frames of several levels may stand beside each other.
    compress: codecOf(encoding).compress,
    encrypt_to: encoding.recipients.join(','),
  };
  const compressedData = await shouldSendCompressed(settings.COMPRESSED_SEND);
  const isHere = earlier.identity?.server === bucket.server && earlier.identity.bucket === bucket.name;
  const own: ReadonlyMap<string, string> = isHere ? earlier.own : new Map();
  const plan = {
    layout,
    identity,
    compressedData,
    encoding: isEncoded(codecOf(encoding)) ? encoding : undefined,
    own,
  };
  if (!earlier.identity) return { ...plan, earlier: undefined, superseded: [] };
  const differences = differencesOf(earlier.identity, identity);
  if (differences.length === 0) return { ...plan, earlier, superseded: [] };
  log.warn(`${snapshot.subvolume}: ${differences.join(', ')} changed: the upload begins again`);
  return { ...plan, earlier: undefined, superseded: uploadsIn(context, earlier) };
}

/** An upload that is under way keeps the size of its parts where PART_SIZE leaves it to us: another version may choose another one. */
function layoutFor({ settings }: StageContext, { identity }: EarlierUpload): Layout {
  const layout = chooseLayout(settings.CHUNK_SIZE, settings.PART_SIZE);
  if (settings.PART_SIZE !== 'auto' || identity?.chunk_size !== layout.chunkSizeBytes) return layout;
  return { ...layout, partSizeBytes: identity.part_size };
}

async function warnOfParts(
  { log }: StageContext,
  { subvolume, snapshot: { path } }: SnapshotFile,
  { partSizeBytes }: Layout,
  encoded: boolean,
): Promise<void> {
  // A snapshot that is gone is the failure of who reads it.
  const room = await statfs(path).catch(() => undefined);
  if (!room) return;
  const { blocks, bfree, bsize } = room;
  const warning = tooManyParts((blocks - bfree) * bsize, partSizeBytes, encoded);
  if (warning) log.warn(`${subvolume}: ${warning}`);
}

/** What COMPRESS and ENCRYPT_TO ask for; the recipients file is read once for all of an upload. */
async function encodingOf({ settings: { COMPRESS, ENCRYPT_TO } }: StageContext): Promise<Encoding> {
  return { zstdLevel: zstdLevelOf(COMPRESS), recipients: await readRecipients(ENCRYPT_TO) };
}

/**
 * Whether compressed extents are sent as they are.
 * @throws ToolError when COMPRESSED_SEND asks for what kernel or btrfs-progs cannot do
 */
export async function shouldSendCompressed(setting: 'auto' | 'true' | 'false'): Promise<boolean> {
  if (setting === 'false') return false;
  if (await canSendCompressed()) return true;
  if (setting === 'auto') return false;
  throw new ToolError('COMPRESSED_SEND=true needs kernel 6.0 and btrfs-progs 6.2, or newer', {
    hint: 'use COMPRESSED_SEND=auto',
  });
}
