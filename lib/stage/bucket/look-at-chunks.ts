/** Checks chunks in the bucket without reading them: restore, publish and verify all begin with it. */
import pMap from 'p-map';
import type { ManifestChunk } from '../../core/format/manifest.ts';
import { chunkProblem } from '../../core/plan/chunk-problem.ts';
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
  { bucket, signal }: StageContext,
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
