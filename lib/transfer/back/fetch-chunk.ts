/**
 * The way back, chunk by chunk: ranged GETs in parallel, each part hashed before it is handed on, in order. No byte that was not
 * verified against the manifest leaves this module. One hash worker sees all that passes: parts, chunks and the stream.
 */
import { pMapIterable } from 'p-map';
import { partRangesOf } from '../../core/format/frames.ts';
import type { ManifestChunk } from '../../core/format/manifest.ts';
import { endingWithin } from '../../edge/process/abort-scope.ts';
import type { PartDigests } from '../memory/hash-worker.ts';
import { fetchSpooled } from './fetch-spooled.ts';
import { type Fetching, isHeld, type Sink } from './fetching.ts';
import { type Outlet, openPlainOutlet } from './outlet.ts';
import { damagedBytes, isOrBecomes } from './verified-bytes.ts';

const noDigests: PartDigests = { part: '', chunk: '', stream: '' };

/** How the parts of a chunk reach the sink, and what is known of the stream then; without it they are pieces of the stream. */
export interface ChunkDecoder {
  outlet(chunk: ManifestChunk, sink: Sink, signal: AbortSignal): Outlet;
  readonly sha256: string;
}

/**
 * Fetches one chunk into a sink.
 * @param decoder of an encoded backup; undefined where the sink takes the stored bytes.
 * @returns SHA-256, in hex, of the stream up to the end of this chunk.
 * @throws ToolError (damage) when its bytes are not those of the manifest.
 */
export async function fetchChunk(
  fetching: Fetching,
  chunk: ManifestChunk,
  sink: Sink,
  decoder?: ChunkDecoder,
): Promise<string> {
  const digests = isHeld(chunk, fetching.heldPartBytes)
    ? await fetchHeld(fetching, chunk, sink, decoder)
    : await fetchSpooled(fetching, chunk, sink);
  if (isOther(chunk, digests)) {
    throw damagedBytes(`chunk ${chunk.key}`, 'its SHA-256 is not that of the manifest');
  }
  return decoder ? decoder.sha256 : digests.stream;
}

/** An encoded chunk has no hash of its own, unless an earlier version gave it one: its parts are what was checked. */
function isOther({ sha256, frames }: ManifestChunk, digests: PartDigests): boolean {
  return !(frames && sha256 === undefined) && digests.chunk !== sha256;
}

/** Fetches the parts of a chunk side by side; each waits in memory until it is verified and its turn has come. */
async function fetchHeld(
  { context, memory: { pool, hasher }, progress, read }: Fetching,
  chunk: ManifestChunk,
  sink: Sink,
  decoder: ChunkDecoder | undefined,
): Promise<PartDigests> {
  const expected = chunk.parts ?? [];
  const { ending, signal } = endingWithin(context.signal);
  const outlet = decoder ? decoder.outlet(chunk, sink, signal) : openPlainOutlet(sink);
  const concurrency = context.settings.CONCURRENCY;
  const reading = new Set<Promise<void>>();
  const fetched = pMapIterable(
    partRangesOf(chunk),
    async (range) => {
      const slot = await pool.acquire();
      const bytes = slot.bytes.subarray(0, range.length);
      const filled = read({ key: chunk.key, ...range }, bytes, signal);
      reading.add(filled);
      await filled.finally(() => reading.delete(filled));
      return { ...range, slot, bytes };
    },
    { concurrency, backpressure: concurrency },
  );
  let digests = noDigests;
  try {
    for await (const { number, slot, bytes, ...range } of fetched) {
      const digest = async () => {
        hasher.update(slot, 0, bytes.length);
        digests = await hasher.finishPart(number === expected.length);
        return digests.part;
      };
      const readAgain = async () => {
        context.log.warn(`part ${number} of ${chunk.key} is not what was uploaded: reading it again`);
        hasher.takePartBack();
        progress.add(-bytes.length);
        await read({ key: chunk.key, ...range }, bytes, signal);
      };
      if (!(await isOrBecomes(expected[number - 1], digest, readAgain))) {
        throw damagedBytes(`chunk ${chunk.key}`, `part ${number} is not what was uploaded`);
      }
      if (number === expected.length && isOther(chunk, digests)) break;
      await outlet.take({ number, bytes, release: () => pool.release(slot) });
    }
    await outlet.finish();
  } finally {
    // The memory is used again, so nothing may still be writing into it, or reading it.
    ending.abort();
    await Promise.allSettled([...reading, outlet.settled()]);
  }
  return digests;
}
