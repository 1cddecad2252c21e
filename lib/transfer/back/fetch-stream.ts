/** The way back of a whole backup: its chunks, one after the other, and the hash of the stream that they make. */
import type { Manifest } from '../../core/format/manifest.ts';
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
  let sha256 = '';
  for (const chunk of manifest.chunks) sha256 = await fetchChunk(fetching, chunk, sink);
  checkStreamHash(manifest, sha256);
  return { sha256 };
}

/** Holds the hash of a whole stream, in hex, against the manifest, where that has one. @throws ToolError (damage) */
export function checkStreamHash({ subvolume, created_at, stream }: Manifest, sha256: string): void {
  if (!stream || stream.sha256 === sha256) return;
  throw damagedBytes(`the stream of ${subvolume} ${created_at}`, 'its SHA-256 is not that of the manifest');
}
