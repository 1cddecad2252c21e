/**
 * The way back: ranged GETs in parallel, each part hashed before it is handed on, in order. No byte that was not
 * verified against the manifest leaves this module.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pMapIterable } from 'p-map';
import { ToolError } from '../core/errors.ts';
import type { Manifest, ManifestChunk } from '../core/manifest.ts';
import { partRanges } from '../core/part-sizes.ts';
import { MIB } from '../core/units.ts';
import { fileError } from '../edge/files.ts';
import { Hasher } from '../edge/hasher.ts';
import { PartPool } from '../edge/part-pool.ts';
import { readRange } from '../edge/range-reader.ts';
import type { Progress, StageContext } from './context.ts';

/** Range size for manifests that record no parts. */
const plainRangeBytes = 64 * MIB;

/** Takes verified bytes; what is handed over may change once the promise resolves. */
export type Sink = (bytes: Uint8Array) => Promise<void>;

/** What arrived: bytes and SHA-256, in hex, of the whole stream. */
export interface FetchedStream {
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * Fetches the stream of one manifest into a sink.
 * @param spoolDirectory where chunks without recorded parts wait until their hash is known; made when it is missing.
 * @throws ToolError (damage) naming the chunk whose bytes are not those of the manifest.
 */
export async function fetchStream(
  context: StageContext,
  manifest: Manifest,
  sink: Sink,
  spoolDirectory: string,
  progress: Progress,
): Promise<FetchedStream> {
  const largestPart = Math.max(...manifest.chunks.map(rangeSizeOf));
  const pool = new PartPool(context.settings.CONCURRENCY + 1, largestPart);
  const hasher = new Hasher(pool);
  const stream = createHash('sha256');
  let bytes = 0;
  let sha256 = '';
  try {
    for (const chunk of manifest.chunks) {
      if (chunk.parts) {
        sha256 = await fetchChunk(context, chunk, { pool, hasher, sink, progress });
      } else {
        await fetchUnpartedChunk(
          context,
          chunk,
          { pool, sink: withHash(sink, stream), progress },
          spoolDirectory,
        );
        sha256 = stream.copy().digest('hex');
      }
      bytes += chunk.size;
    }
  } finally {
    await hasher.close();
  }
  if (manifest.stream && manifest.stream.sha256 !== sha256) {
    throw damaged(
      `the stream of ${manifest.subvolume} ${manifest.created_at}`,
      'its SHA-256 is not that of the manifest',
    );
  }
  return { bytes, sha256 };
}

interface Tools {
  readonly pool: PartPool;
  readonly hasher: Hasher;
  readonly sink: Sink;
  readonly progress: Progress;
}

/** Returns the SHA-256, in hex, of the stream up to the end of this chunk. */
async function fetchChunk(context: StageContext, chunk: ManifestChunk, tools: Tools): Promise<string> {
  const { pool, hasher, sink } = tools;
  const expected = chunk.parts ?? [];
  const ending = new AbortController();
  const signal = AbortSignal.any([context.signal, ending.signal]);
  const concurrency = context.settings.CONCURRENCY;
  const fetched = pMapIterable(
    partRanges(chunk.size, rangeSizeOf(chunk)),
    async (range) => {
      const slot = await pool.acquire();
      const bytes = slot.bytes.subarray(0, range.length);
      try {
        await readRange(
          context.bucket,
          { key: chunk.key, ...range },
          bytes,
          signal,
          readerEvents(context, tools.progress),
        );
      } catch (error) {
        pool.release(slot);
        throw error;
      }
      return { ...range, slot, bytes };
    },
    { concurrency, backpressure: concurrency },
  );
  let sha256 = '';
  try {
    for await (const { number, slot, bytes } of fetched) {
      hasher.update(slot, 0, bytes.length);
      const endsChunk = number === expected.length;
      const digests = await hasher.finishPart(endsChunk);
      if (digests.part !== expected[number - 1]) {
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
    ending.abort();
  }
  return sha256;
}

/** A chunk of the Python tool `btrfs_to_s3` has one hash for all of it, so it waits on disk until that is known. */
async function fetchUnpartedChunk(
  context: StageContext,
  chunk: ManifestChunk,
  { pool, sink, progress }: Omit<Tools, 'hasher'>,
  spoolDirectory: string,
): Promise<void> {
  const path = join(spoolDirectory, `spool-${process.pid}.bin`);
  const hash = createHash('sha256');
  const slot = await pool.acquire();
  try {
    const file = await openSpool(spoolDirectory, path);
    try {
      for (const range of partRanges(chunk.size, rangeSizeOf(chunk))) {
        const bytes = slot.bytes.subarray(0, range.length);
        const place = { key: chunk.key, ...range };
        await readRange(context.bucket, place, bytes, context.signal, readerEvents(context, progress));
        hash.update(bytes);
        // Not `write`, which may take only a part on a full disk, and say so only in its result.
        await file.writeFile(bytes).catch((cause: unknown) => {
          throw fileError(`cannot write ${path}`, cause);
        });
      }
    } finally {
      await file.close();
    }
    if (hash.digest('hex') !== chunk.sha256) {
      throw damaged(`chunk ${chunk.key}`, 'its SHA-256 is not that of the manifest');
    }
    for await (const bytes of createReadStream(path, { highWaterMark: MIB })) await sink(bytes as Buffer);
  } finally {
    pool.release(slot);
    await rm(path, { force: true });
  }
}

async function openSpool(directory: string, path: string): Promise<FileHandle> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return await open(path, 'w', 0o600);
  } catch (cause) {
    throw fileError(`cannot write ${path}`, cause);
  }
}

function rangeSizeOf(chunk: ManifestChunk): number {
  return Math.min(chunk.size, chunk.parts ? (chunk.part_size ?? chunk.size) : plainRangeBytes);
}

function withHash(sink: Sink, hash: ReturnType<typeof createHash>): Sink {
  return (bytes) => {
    hash.update(bytes);
    return sink(bytes);
  };
}

function readerEvents(context: StageContext, progress: Progress) {
  return {
    onReceived: (bytes: number) => progress.add(bytes),
    onRetry: (what: string, error: Error, attempt: number) =>
      context.log.warn(`${what}: attempt ${attempt} failed, trying again: ${error.message}`),
  };
}

function damaged(what: string, problem: string): ToolError {
  return new ToolError(`${what} is damaged: ${problem}`, {
    kind: 'damage',
    problem: `is damaged: ${problem}`,
    hint: 'make verify DEEP=1 shows all that is affected; AT= restores an earlier backup',
  });
}
