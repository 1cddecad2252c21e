/**
 * The way back: ranged GETs in parallel, each part hashed before it is handed on, in order. No byte that was not
 * verified against the manifest leaves this module.
 */
import { createHash } from 'node:crypto';
import { pMapIterable } from 'p-map';
import { ToolError } from '../core/errors.ts';
import type { Manifest, ManifestChunk } from '../core/manifest.ts';
import { partRanges } from '../core/part-sizes.ts';
import { MIB } from '../core/units.ts';
import { endingWithin } from '../edge/ending.ts';
import type { PartDigests } from '../edge/hash-worker.ts';
import { type ReaderEvents, readRange } from '../edge/range-reader.ts';
import { Spool } from '../edge/spool.ts';
import type { StreamMemory } from '../edge/transfer-memory.ts';
import type { Progress, StageContext } from './context.ts';

/** Range size for manifests that record no parts. */
const plainRangeBytes = 64 * MIB;

/** Readings of a part or a chunk that is each time another than the one that was uploaded. */
const mostReadings = 5;

const noDigests: PartDigests = { part: '', chunk: '', stream: '' };

/** Takes verified bytes; what is handed over may change once the promise resolves. */
export type Sink = (bytes: Uint8Array) => Promise<void>;

/** What arrived: bytes and SHA-256, in hex, of the whole stream. */
export interface FetchedStream {
  readonly bytes: number;
  readonly sha256: string;
}

/** Bytes of the largest part that some manifests ask for: the slot size that fits them all. */
export function largestPartOf(manifests: readonly Manifest[]): number {
  return manifests
    .flatMap(({ chunks }) => chunks)
    .reduce((most, chunk) => Math.max(most, rangeSizeOf(chunk)), 0);
}

/**
 * Fetches the stream of one manifest into a sink.
 * @param largestPartBytes slot size; the same for all streams of a command, so that they share their memory.
 * @throws ToolError (damage) naming the chunk whose bytes are not those of the manifest.
 */
export async function fetchStream(
  context: StageContext,
  manifest: Manifest,
  sink: Sink,
  progress: Progress,
  largestPartBytes = largestPartOf([manifest]),
): Promise<FetchedStream> {
  // One slot less than an upload has: here the network hands over buffers of its own, which count as well.
  const memory = await context.memory.open(largestPartBytes, Math.max(2, context.settings.CONCURRENCY));
  const stream = createHash('sha256');
  // The hash worker sees the stream only where every chunk has parts.
  const allParted = manifest.chunks.every((chunk) => chunk.parts);
  const hashedSink: Sink = (piece) => {
    stream.update(piece);
    return sink(piece);
  };
  let bytes = 0;
  let sha256 = '';
  for (const chunk of manifest.chunks) {
    if (allParted) sha256 = await fetchChunk(context, chunk, memory, sink, progress);
    else if (chunk.parts) await fetchChunk(context, chunk, memory, hashedSink, progress);
    else await fetchWholeChunk(context, chunk, memory, hashedSink, progress);
    bytes += chunk.size;
  }
  if (!allParted) sha256 = stream.digest('hex');
  if (manifest.stream && manifest.stream.sha256 !== sha256) {
    const what = `the stream of ${manifest.subvolume} ${manifest.created_at}`;
    throw damaged(what, 'its SHA-256 is not that of the manifest');
  }
  return { bytes, sha256 };
}

/** Returns the SHA-256, in hex, of the stream up to the end of this chunk. */
async function fetchChunk(
  context: StageContext,
  chunk: ManifestChunk,
  { pool, hasher }: StreamMemory,
  sink: Sink,
  progress: Progress,
): Promise<string> {
  const expected = chunk.parts ?? [];
  const { ending, signal } = endingWithin(context.signal);
  const events = readerEvents(progress);
  const concurrency = context.settings.CONCURRENCY;
  const reading = new Set<Promise<void>>();
  const fetched = pMapIterable(
    partRanges(chunk.size, rangeSizeOf(chunk)),
    async (range) => {
      const slot = await pool.acquire();
      const bytes = slot.bytes.subarray(0, range.length);
      const read = readRange(context.bucket, { key: chunk.key, ...range }, bytes, signal, events);
      reading.add(read);
      await read.finally(() => reading.delete(read));
      return { ...range, slot, bytes };
    },
    { concurrency, backpressure: concurrency },
  );
  let sha256 = '';
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
        await readRange(context.bucket, { key: chunk.key, ...range }, bytes, signal, events);
      };
      if (!(await isOrBecomes(expected[number - 1], digest, readAgain))) {
        throw damaged(`chunk ${chunk.key}`, `part ${number} is not what was uploaded`);
      }
      if (endsChunk && digests.chunk !== chunk.sha256) {
        throw damaged(`chunk ${chunk.key}`, 'its SHA-256 is not that of the manifest');
      }
      sha256 = digests.stream;
      await sink(bytes);
      pool.release(slot);
    }
  } finally {
    // The memory is used again, so nothing may still be writing into it.
    ending.abort();
    await Promise.allSettled(reading);
  }
  return sha256;
}

/** A chunk of the Python tool `btrfs_to_s3` has one hash for all of it, so it waits on disk until that is known. */
async function fetchWholeChunk(
  context: StageContext,
  chunk: ManifestChunk,
  { pool }: StreamMemory,
  sink: Sink,
  progress: Progress,
): Promise<void> {
  const slot = await pool.acquire();
  const events = readerEvents(progress);
  const spool = await Spool.open(context.settings.RUN_DIR);
  const read = async () => {
    const hash = createHash('sha256');
    for (const range of partRanges(chunk.size, rangeSizeOf(chunk))) {
      const bytes = slot.bytes.subarray(0, range.length);
      await readRange(context.bucket, { key: chunk.key, ...range }, bytes, context.signal, events);
      hash.update(bytes);
      await spool.write(bytes);
    }
    return hash.digest('hex');
  };
  const forget = async () => {
    context.log.warn(`${chunk.key} is not what was uploaded: reading it again`);
    progress.add(-chunk.size);
    await spool.clear();
  };
  try {
    if (!(await isOrBecomes(chunk.sha256, read, forget))) {
      throw damaged(`chunk ${chunk.key}`, 'its SHA-256 is not that of the manifest');
    }
    for await (const piece of spool.read()) await sink(piece);
  } finally {
    await spool.close();
    pool.release(slot);
  }
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

function rangeSizeOf(chunk: ManifestChunk): number {
  return Math.min(chunk.size, chunk.parts ? (chunk.part_size ?? chunk.size) : plainRangeBytes);
}

function readerEvents(progress: Progress): ReaderEvents {
  return { onReceived: (bytes) => progress.add(bytes) };
}

function damaged(what: string, problem: string): ToolError {
  return new ToolError(`${what} is damaged: ${problem}`, {
    kind: 'damage',
    problem: `is damaged: ${problem}`,
    hint: 'make verify DEEP=1 shows all that is affected; AT= restores an earlier backup',
  });
}
