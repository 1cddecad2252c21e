/** The way back of a whole backup: its chunks, one after the other, and the hash of the stream that they make. */
import type { Manifest } from '../../core/format/manifest.ts';
import { type Decoder, openDecoder } from '../codec/decoder.ts';
import { fetchChunk } from './fetch-chunk.ts';
import type { Fetching, Sink } from './fetching.ts';
import { damagedBytes } from './verified-bytes.ts';

/**
 * Fetches the stream of one manifest into a sink.
 * @throws ToolError (damage) naming the chunk whose bytes are not those of the manifest.
 */
export async function fetchStream(
  fetching: Fetching,
  manifest: Manifest,
  sink: Sink,
): Promise<{ readonly sha256: string }> {
  const decoder = await openDecoder(manifest, fetching);
  try {
    let sha256 = '';
    for (const chunk of manifest.chunks) sha256 = await fetchChunk(fetching, chunk, sink, decoder);
    checkStreamHash(manifest, sha256, decoder);
    return { sha256 };
  } finally {
    decoder?.close();
  }
}

/** Holds the hash of a whole stream, in hex, against the manifest or its sealed digests, where there is one. @throws ToolError (damage) */
export function checkStreamHash(
  { subvolume, created_at, stream }: Manifest,
  sha256: string,
  decoder: Decoder | undefined,
): void {
  const expected = decoder ? decoder.expectedSha256 : stream?.sha256;
  if (expected === undefined || expected === sha256) return;
  throw damagedBytes(`the stream of ${subvolume} ${created_at}`, 'its SHA-256 is not that of the manifest');
}
