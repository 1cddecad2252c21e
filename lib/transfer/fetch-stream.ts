/**
 * The way back: ranged GETs in parallel, each part hashed before it is handed on, in order. No byte that was not
 * verified against the manifest leaves this module.
 */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { pMapIterable } from 'p-map';
import { lookAgainMs } from '../core/backoff.ts';
import { ToolError } from '../core/errors.ts';
import type { Manifest, ManifestChunk } from '../core/format/manifest.ts';
import { partRanges } from '../core/stream/part-sizes.ts';
import { MIB } from '../core/units.ts';
import { Spool } from '../edge/files/spool.ts';
import { endingWithin } from '../edge/process/abort-scope.ts';
import type { PartDigests } from './hash-worker.ts';
import { type ObjectRange, type ReaderEvents, readRange } from './range-reader.ts';
import type { Progress, TransferContext } from './transfer-context.ts';
import type { StreamMemory } from './transfer-memory.ts';

/** Range size for what waits on disk. */
const spooledRangeBytes = 64 * MIB;

/**
 * Larger parts wait on disk instead of in memory until they are verified: Node 20 holds no more than 4 GiB in one piece, and a
 * host that restores may have less memory than the one that was lost.
 */
const defaultHeldPartBytes = 1024 * MIB;

/** Times that one range is found to have gone cold; a copy stays for days, and a range is read in minutes. */
const mostThaws = 3;

/** Readings of a part or a chunk that is each time another than the one that was uploaded. */
const mostReadings = 5;

const noDigests: PartDigests = { part: '', chunk: '', stream: '' };

/** Called when a chunk cannot be read any more; resolves when it can. */
export type ThawAgain = (key: string, signal: AbortSignal) => Promise<void>;

/** Takes verified bytes; what is handed over may change once the promise resolves. */
export type Sink = (bytes: Uint8Array) => Promise<void>;

/** What arrived: bytes and SHA-256, in hex, of the whole stream. */
export interface FetchedStream {
  readonly bytes: number;
  readonly sha256: string;
}

/** What may be said about a fetch. */
export interface FetchOptions {
  /** Parts above this size wait on disk; 1 GiB where nothing is said. */
  readonly heldPartBytes?: number;
  /** Slot size; the same for all streams of a command, so that they share their memory. */
  readonly largestPartBytes?: number;
  /** Makes a chunk readable again whose thawed copy has expired; without it that ends the fetch. */
  readonly thawAgain?: ThawAgain;
}

/** Bytes of the largest range that some manifests ask for: the slot size that fits them all. */
export function largestPartOf(
  manifests: readonly Manifest[],
  heldPartBytes: number = defaultHeldPartBytes,
): number {
  return manifests
    .flatMap(({ chunks }) => chunks)
    .reduce((most, chunk) => Math.max(most, rangeSizeOf(chunk, heldPartBytes)), 0);
}

/**
 * Fetches the stream of one manifest into a sink.
 * @throws ToolError (damage) naming the chunk whose bytes are not those of the manifest.
 */
export async function fetchStream(
  context: TransferContext,
  manifest: Manifest,
  sink: Sink,
  progress: Progress,
  options: FetchOptions = {},
): Promise<FetchedStream> {
  const { heldPartBytes = defaultHeldPartBytes, thawAgain } = options;
  const { largestPartBytes = largestPartOf([manifest], heldPartBytes) } = options;
  // One slot less than an upload has: here the network hands over buffers of its own, which count as well.
  const memory = await context.memory.open(largestPartBytes, Math.max(2, context.settings.CONCURRENCY));
  const stream = createHash('sha256');
  // The hash worker sees the stream only where none of it waits on disk.
  const isPassed = (chunk: ManifestChunk) => isHeld(chunk, heldPartBytes);
  const allParted = manifest.chunks.every(isPassed);
  const hashedSink: Sink = (piece) => {
    stream.update(piece);
    return sink(piece);
  };
  let bytes = 0;
  let sha256 = '';
  const read = rangeReader(context, progress, thawAgain);
  for (const chunk of manifest.chunks) {
    if (allParted) sha256 = await fetchChunk(context, chunk, memory, sink, progress, read);
    else if (isPassed(chunk)) await fetchChunk(context, chunk, memory, hashedSink, progress, read);
    else await fetchSpooled(context, chunk, memory, hashedSink, progress, read);
    bytes += chunk.size;
  }
  if (!allParted) sha256 = stream.digest('hex');
  if (manifest.stream && manifest.stream.sha256 !== sha256) {
    const what = `the stream of ${manifest.subvolume} ${manifest.created_at}`;
    throw damaged(what, 'its SHA-256 is not that of the manifest');
  }
  return { bytes, sha256 };
}

type ReadRange = (range: ObjectRange, target: Uint8Array, signal: AbortSignal) => Promise<void>;

/** Reads ranges; one that has gone cold is waited for, where that is wanted. */
function rangeReader(context: TransferContext, progress: Progress, thawAgain?: ThawAgain): ReadRange {
  const events: ReaderEvents = { onReceived: (bytes) => progress.add(bytes) };
  return async (range, target, signal) => {
    for (let thaws = 1; ; thaws++) {
      try {
        return await readRange({ ...context.bucket, signal }, range, target, events);
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

/** Returns the SHA-256, in hex, of the stream up to the end of this chunk. */
async function fetchChunk(
  context: TransferContext,
  chunk: ManifestChunk,
  { pool, hasher }: StreamMemory,
  sink: Sink,
  progress: Progress,
  readRange: ReadRange,
): Promise<string> {
  const expected = chunk.parts ?? [];
  const { ending, signal } = endingWithin(context.signal);
  const concurrency = context.settings.CONCURRENCY;
  const reading = new Set<Promise<void>>();
  const fetched = pMapIterable(
    partRanges(chunk.size, chunk.part_size ?? chunk.size),
    async (range) => {
      const slot = await pool.acquire();
      const bytes = slot.bytes.subarray(0, range.length);
      const read = readRange({ key: chunk.key, ...range }, bytes, signal);
      reading.add(read);
      await read.finally(() => reading.delete(read));
      return { ...range, slot, bytes };
    },
    { concurrency, backpressure: concurrency },
  );
  let sha256 = '';
  let writing = Promise.resolve();
  try {
    for await (const { number, slot, bytes, ...range } of fetched) {
      const endsChunk = number === expected.length;
      let digests = noDigests;
      const digest = async () => {
        hasher.update(slot, 0, bytes.length);
        digests = await hasher.finishPart(endsChunk);
        return digests.part;
      };
      const readAgain = async () => {
        context.log.warn(`part ${number} of ${chunk.key} is not what was uploaded: reading it again`);
        hasher.takePartBack();
        progress.add(-bytes.length);
        await readRange({ key: chunk.key, ...range }, bytes, signal);
      };
      if (!(await isOrBecomes(expected[number - 1], digest, readAgain))) {
        throw damaged(`chunk ${chunk.key}`, `part ${number} is not what was uploaded`);
      }
      if (endsChunk && digests.chunk !== chunk.sha256) {
        throw damaged(`chunk ${chunk.key}`, wrongChunk);
      }
      sha256 = digests.stream;
      // The next part is hashed while this one is written.
      await writing;
      writing = sink(bytes).finally(() => pool.release(slot));
      writing.catch(() => undefined);
    }
    await writing;
  } finally {
    // The memory is used again, so nothing may still be writing into it, or reading it.
    ending.abort();
    await Promise.allSettled([...reading, writing]);
  }
  return sha256;
}

/**
 * Fetches a chunk piece by piece through a file: parts that are too large for memory; or the whole of a chunk of the Python tool
 * `btrfs_to_s3`, which has one hash for all of it.
 */
async function fetchSpooled(
  context: TransferContext,
  chunk: ManifestChunk,
  { pool }: StreamMemory,
  sink: Sink,
  progress: Progress,
  readRange: ReadRange,
): Promise<void> {
  const slot = await pool.acquire();
  const spool = await Spool.open(context.settings.RUN_DIR);
  const wholeChunk = createHash('sha256');
  try {
    for (const piece of piecesOf(chunk)) {
      const read = async () => {
        const hash = createHash('sha256');
        for (const range of partRanges(piece.length, spooledRangeBytes)) {
          const bytes = slot.bytes.subarray(0, range.length);
          await readRange(
            { key: chunk.key, ...range, offset: piece.offset + range.offset },
            bytes,
            context.signal,
          );
          hash.update(bytes);
          await spool.write(bytes);
        }
        return hash.digest(piece.encoding);
      };
      const forget = async () => {
        context.log.warn(`${piece.name} is not what was uploaded: reading it again`);
        progress.add(-piece.length);
        await spool.clear();
      };
      if (!(await isOrBecomes(piece.sha256, read, forget))) throw damaged(piece.name, piece.problem);
      for await (const bytes of spool.read()) {
        wholeChunk.update(bytes);
        await sink(bytes);
      }
      await spool.clear();
    }
  } finally {
    await spool.close();
    pool.release(slot);
  }
  if (wholeChunk.digest('hex') !== chunk.sha256) throw damaged(`chunk ${chunk.key}`, wrongChunk);
}

const wrongChunk = 'its SHA-256 is not that of the manifest';

/** What of a chunk has a hash of its own. */
interface HashedPiece {
  readonly name: string;
  readonly offset: number;
  readonly length: number;
  readonly sha256: string | undefined;
  readonly encoding: 'base64' | 'hex';
  readonly problem: string;
}

function piecesOf({ key, size, sha256, part_size, parts }: ManifestChunk): readonly HashedPiece[] {
  const chunk = `chunk ${key}`;
  if (!parts) return [{ name: chunk, offset: 0, length: size, sha256, encoding: 'hex', problem: wrongChunk }];
  return partRanges(size, part_size ?? size).map(({ number, offset, length }) => ({
    name: `part ${number} of ${key}`,
    offset,
    length,
    sha256: parts[number - 1],
    encoding: 'base64',
    problem: 'it is not what was uploaded',
  }));
}

/** Whether the parts of a chunk are held in memory until they are verified. */
function isHeld({ parts, part_size, size }: ManifestChunk, heldPartBytes: number): boolean {
  return parts !== undefined && Math.min(part_size ?? size, size) <= heldPartBytes;
}

/**
 * Reads again what has another digest than it should: bytes may change on the way. What is twice the same lies so in the
 * bucket.
 */
async function isOrBecomes(
  expected: string | undefined,
  digest: () => Promise<string>,
  again: () => Promise<void>,
): Promise<boolean> {
  const seen = new Set<string>();
  for (let found = await digest(); found !== expected; found = await digest()) {
    if (seen.has(found) || seen.size + 1 === mostReadings) return false;
    seen.add(found);
    await again();
  }
  return true;
}

function rangeSizeOf(chunk: ManifestChunk, heldPartBytes: number): number {
  return Math.min(
    chunk.size,
    isHeld(chunk, heldPartBytes) ? (chunk.part_size ?? chunk.size) : spooledRangeBytes,
  );
}

function damaged(what: string, problem: string): ToolError {
  return new ToolError(`${what} is damaged: ${problem}`, {
    kind: 'damage',
    problem: `is damaged: ${problem}`,
    hint: 'make verify DEEP=1 shows all that is affected; AT= restores an earlier backup',
  });
}
