/** What the chunks of one stream are fetched with: memory, ranges that are read again, and what waits on disk. */
import { setTimeout as sleep } from 'node:timers/promises';
import { lookAgainMs } from '../../core/backoff.ts';
import { ToolError } from '../../core/errors.ts';
import { partRangesOf } from '../../core/format/frames.ts';
import type { ManifestChunk } from '../../core/format/manifest.ts';
import { MIB } from '../../core/units.ts';
import type { StreamMemory } from '../memory/transfer-memory.ts';
import type { Progress, TransferContext } from '../transfer-context.ts';
import { type ObjectRange, type ReaderEvents, readRange } from './range-reader.ts';

/**
 * Larger parts wait on disk instead of in memory until they are verified: a host that restores may have less memory than the one that
 * was lost. What is held fits the first piece of a slot.
 */
const defaultHeldPartBytes = 1024 * MIB;

/** Range size for what waits on disk. */
export const SPOOLED_RANGE_BYTES = 64 * MIB;

/** Times that one range is found to have gone cold; a copy stays for days, and a range is read in minutes. */
const mostThaws = 3;

/** Called when a chunk cannot be read any more; resolves when it can. */
export type ThawAgain = (key: string, signal: AbortSignal) => Promise<void>;

/** Takes verified bytes; what is handed over may change once the promise resolves. */
export type Sink = (bytes: Uint8Array) => Promise<void>;

/** What may be said about a fetch. */
export interface FetchOptions {
  /** Parts above this size wait on disk; 1 GiB where nothing is said. */
  readonly heldPartBytes?: number;
  /** Makes a chunk readable again whose thawed copy has expired; without it that ends the fetch. */
  readonly thawAgain?: ThawAgain | undefined;
}

/** What the chunks of one stream are fetched with. */
export interface Fetching {
  readonly context: TransferContext;
  readonly memory: StreamMemory;
  /** For what the codec makes of encoded chunks; undefined where there are none. */
  readonly plainMemory: StreamMemory | undefined;
  readonly progress: Progress;
  readonly heldPartBytes: number;
  readonly read: (range: ObjectRange, target: Uint8Array, signal: AbortSignal) => Promise<void>;
}

/**
 * Opens the memory for a stream.
 * @param chunks of all streams of the command, which share their memory: the largest part decides the size of a slot.
 */
export async function openFetching(
  context: TransferContext,
  chunks: readonly ManifestChunk[],
  progress: Progress,
  { heldPartBytes = defaultHeldPartBytes, thawAgain }: FetchOptions = {},
): Promise<Fetching> {
  const slotBytes = slotBytesFor(chunks, heldPartBytes);
  // One slot less than an upload has: here the network hands over buffers of its own, which count as well.
  const slots = Math.max(2, context.settings.CONCURRENCY);
  // Encoded chunks are checked by their parts; where they have a hash of their own as well, that too.
  const partsOnly = chunks.every(({ frames, sha256 }) => frames !== undefined && sha256 === undefined);
  const memory = await context.memory.open(slotBytes, slots, { partsOnly });
  const plainBytes = largestPlainFrame(chunks);
  const plainMemory = plainBytes > 0 ? await context.memory.second.open(plainBytes, slots) : undefined;
  const read = rangeReader(context, progress, thawAgain);
  return { context, memory, plainMemory, progress, heldPartBytes, read };
}

function largestPlainFrame(chunks: readonly ManifestChunk[]): number {
  let most = 0;
  for (const { frames = [] } of chunks)
    for (const { plain_size } of frames) most = Math.max(most, plain_size);
  return most;
}

/** Reads ranges; one that has gone cold is waited for, where that is wanted. */
function rangeReader(
  { bucket }: TransferContext,
  progress: Progress,
  thawAgain: ThawAgain | undefined,
): Fetching['read'] {
  const events: ReaderEvents = { onReceived: (bytes) => progress.add(bytes) };
  return async (range, target, signal) => {
    for (let thaws = 1; ; thaws++) {
      try {
        return await readRange({ ...bucket, signal }, range, target, events);
      } catch (error) {
        const isCold = error instanceof ToolError && error.kind === 'thaw';
        if (!isCold || !thawAgain || thaws > mostThaws) throw error;
        await thawAgain(range.key, signal);
        // What the bucket calls thawed, and then refuses, must not be asked for again and again at once.
        if (thaws > 1) await sleep(lookAgainMs(thaws), undefined, { signal });
      }
    }
  };
}

/** Whether the parts of a chunk are held in memory until they are verified. Those of an encoded one always are: frames are not larger. */
export function isHeld({ parts, part_size, size, frames }: ManifestChunk, heldPartBytes: number): boolean {
  return frames !== undefined || (parts !== undefined && Math.min(part_size ?? size, size) <= heldPartBytes);
}

/** Bytes of the largest piece of some chunks that is held in memory. */
export function slotBytesFor(chunks: readonly ManifestChunk[], heldPartBytes = defaultHeldPartBytes): number {
  return chunks.reduce((most, chunk) => Math.max(most, rangeSizeOf(chunk, heldPartBytes)), 0);
}

/** Bytes that are held for a part under way at most: as it is stored, and decoded. */
export function heldBytesFor(chunks: readonly ManifestChunk[]): number {
  return slotBytesFor(chunks) + largestPlainFrame(chunks);
}

function rangeSizeOf(chunk: ManifestChunk, heldPartBytes: number): number {
  if (chunk.frames) return Math.max(...partRangesOf(chunk).map(({ length }) => length));
  const rangeBytes = isHeld(chunk, heldPartBytes) ? (chunk.part_size ?? chunk.size) : SPOOLED_RANGE_BYTES;
  return Math.min(chunk.size, rangeBytes);
}
