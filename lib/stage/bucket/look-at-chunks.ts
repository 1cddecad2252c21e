/** Checks chunks in the bucket without reading them: restore, publish and verify all begin with it. */
import pMap from 'p-map';
import type { ManifestChunk } from '../../core/format/manifest.ts';
import { chunkProblem, isWorthReading } from '../../core/plan/chunk-problem.ts';
import type { ReadManifest } from '../../core/plan/restorability.ts';
import { headObject, type ObjectHead } from '../../edge/s3/objects.ts';
import { isDenied } from '../../edge/s3/s3-errors.ts';
import type { StageContext } from '../context.ts';
import { REQUESTS_AT_ONCE } from './backups.ts';

/** A chunk with what the bucket says of it; `problem` is undefined when it is what the manifest says. */
export interface LookedAtChunk {
  readonly chunk: ManifestChunk;
  readonly head: ObjectHead | undefined;
  readonly problem: string | undefined;
}

/** Looks at chunks, several at once; the answers are in the order of the chunks. */
export function lookAtChunks(
  { bucket, signal }: Pick<StageContext, 'bucket' | 'signal'>,
  chunks: readonly ManifestChunk[],
): Promise<readonly LookedAtChunk[]> {
  return pMap(
    chunks,
    async (chunk) => {
      const head = await headObject(bucket, chunk.key);
      return { chunk, head, problem: chunkProblem(chunk, head) };
    },
    { concurrency: REQUESTS_AT_ONCE, signal },
  );
}

/**
 * A listing whose ETags can be held against manifests: some servers list others than HEAD gives, by which backups were published. Chunks
 * that seem to be others are looked at one by one, and those that are right get the ETag of their manifest.
 * @param onDenied for credentials that may list but not read: called once, with the first chunk that is denied; those that were not
 *   looked at keep the ETag of the listing, and so the doubt
 * @throws ToolError when a chunk cannot be looked at; also where that is denied, without `onDenied`
 */
export async function withEtagsOfHead<Listed extends { key: string; sizeBytes: number; etag: string }>(
  { bucket, signal }: Pick<StageContext, 'bucket' | 'signal'>,
  listed: readonly Listed[],
  manifests: Iterable<ReadManifest>,
  onDenied?: (key: string) => void,
): Promise<readonly Listed[]> {
  const objects = new Map(listed.map((object) => [object.key, { ...object, sha256: undefined }]));
  const doubtful = [...manifests].flatMap((manifest) => {
    const { chunks } = 'unusable' in manifest ? { chunks: [] } : manifest;
    return chunks.filter((chunk) => {
      const object = objects.get(chunk.key);
      return isWorthReading(chunk, object) && chunkProblem(chunk, object) !== undefined;
    });
  });
  const right = new Map<string, string>();
  let isDeniedOnce = false;
  const look = async (chunk: ManifestChunk) => {
    // A look that is denied takes six requests, and a copied bucket may have thousands of such chunks.
    if (isDeniedOnce) return;
    try {
      const head = await headObject(bucket, chunk.key);
      if (chunkProblem(chunk, head) === undefined) right.set(chunk.key, chunk.etag ?? '');
    } catch (error) {
      if (!onDenied || !isDenied(error)) throw error;
      if (!isDeniedOnce) onDenied(chunk.key);
      isDeniedOnce = true;
    }
  };
  await pMap(doubtful, look, { concurrency: REQUESTS_AT_ONCE, signal });
  return listed.map((object) => ({ ...object, etag: right.get(object.key) ?? object.etag }));
}
