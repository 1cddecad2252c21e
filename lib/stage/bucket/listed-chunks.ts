/** Compares chunks with a listing: one request for a thousand of them. */
import { ToolError } from '../../core/errors.ts';
import type { ManifestChunk } from '../../core/format/manifest.ts';
import { chunkProblem, isWorthReading } from '../../core/plan/chunk-problem.ts';
import type { ListedObject } from '../../edge/s3/objects.ts';

/**
 * Refuses chunks that cannot be right: missing ones, and those of another size.
 * @throws ToolError (damage) naming the first.
 */
export function refuseLostChunks(
  chunks: readonly Pick<ManifestChunk, 'key' | 'size' | 'sha256'>[],
  listed: readonly ListedObject[],
): void {
  const objects = new Map(listed.map((object) => [object.key, { ...object, sha256: undefined }]));
  for (const chunk of chunks) {
    const object = objects.get(chunk.key);
    if (isWorthReading(chunk, object)) continue;
    throw new ToolError(`chunk ${chunk.key} ${chunkProblem(chunk, object)}`, {
      kind: 'damage',
      hint: 'make verify shows all that is affected; AT= restores an earlier backup',
    });
  }
}
