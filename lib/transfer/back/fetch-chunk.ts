/**
 * The way back, chunk by chunk: ranged GETs in parallel, each part hashed before it is handed on, in order. No byte that was not
 * verified against the manifest leaves this module. One hash worker sees all that passes: parts, chunks and the stream.
 */
import { pMapIterable } from 'p-map';
import type { ManifestChunk } from '../../core/format/manifest.ts';
import { partRanges } from '../../core/stream/part-sizes.ts';
import { endingWithin } from '../../edge/process/abort-scope.ts';
import type { PartDigests } from '../memory/hash-worker.ts';
import { fetchSpooled } from './fetch-spooled.ts';
import { type Fetching, isHeld, type Sink } from './fetching.ts';
import { damagedBytes, isOrBecomes } from './verified-bytes.ts';

const noDigests: PartDigests = { part: '', chunk: '', stream: '' };

/**
 * Fetches one chunk into a sink.
 * @returns SHA-256, in hex, of the stream up to the end of this chunk.
 * @throws ToolError (damage) when its bytes are not those of the manifest.
 */
export async function fetchChunk(fetching: Fetching, chunk: ManifestChunk, sink: Sink): Promise<string> {
  const digests = isHeld(chunk, fetching.heldPartBytes)
    ? await fetchHeld(fetching, chunk, sink)
    : await fetchSpooled(fetching, chunk, sink);
  if (digests.chunk !== chunk.sha256) {
    throw damagedBytes(`chunk ${chunk.key}`, 'its SHA-256 is not that of the manifest');
  }
  return digests.stream;
}

/** Fetches the parts of a chunk side by side; each waits in memory until it is verified and its turn has come. */
async function fetchHeld(
  { context, memory: { pool, hasher }, progress, read }: Fetching,
  chunk: ManifestChunk,
  sink: Sink,
): Promise<PartDigests> {
  const expected = chunk.parts ?? [];
  const { ending, signal } = endingWithin(context.signal);
  const concurrency = context.settings.CONCURRENCY;
  const reading = new Set<Promise<void>>();
  const fetched = pMapIterable(
    partRanges(chunk.size, chunk.part_size ?? chunk.size),
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
  let writing = Promise.resolve();
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
      if (number === expected.length && digests.chunk !== chunk.sha256) break;
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
  return digests;
}
