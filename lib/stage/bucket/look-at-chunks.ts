/** Checks chunks in the bucket without reading them: restore, publish and verify all begin with it. */
import pMap from 'p-map';
import type { ManifestChunk } from '../../core/format/manifest.ts';
import { chunkProblem, isWorthReading } from '../../core/plan/chunk-problem.ts';
import type { ReadManifest } from '../../core/plan/restorability.ts';
import { headObject, type ObjectHead } from '../../edge/s3/objects.ts';
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
 */
export async function withEtagsOfHead<Listed extends { key: string; sizeBytes: number; etag: string }>(
  context: Pick<StageContext, 'bucket' | 'signal'>,
  listed: readonly Listed[],
  manifests: Iterable<ReadManifest>,
): Promise<readonly Listed[]> {
  const objects = new Map(listed.map((object) => [object.key, { ...object, sha256: undefined }]));
  const doubtful = [...manifests].flatMap((manifest) => {
    const { chunks } = 'unusable' in manifest ? { chunks: [] } : manifest;
    return chunks.filter((chunk) => {
      const object = objects.get(chunk.key);
      return isWorthReading(chunk, object) && chunkProblem(chunk, object) !== undefined;
    });
  });
  const looked = await lookAtChunks(context, doubtful);
  const right = new Map(
    looked.flatMap(({ chunk, problem }) => (problem === undefined ? [[chunk.key, chunk.etag ?? '']] : [])),
  );
  return listed.map((object) => ({ ...object, etag: right.get(object.key) ?? object.etag }));
}
