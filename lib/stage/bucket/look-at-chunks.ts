/** Checks chunks in the bucket without reading them: restore, publish and verify all begin with it. */
import { isDeepStrictEqual } from 'node:util';
import pMap from 'p-map';
import { describeError } from '../../core/errors.ts';
import type { ManifestChunk } from '../../core/format/manifest.ts';
import { chunkProblem, isWorthReading } from '../../core/plan/chunk-problem.ts';
import type { ReadManifest } from '../../core/plan/restorability.ts';
import { ProvenChunks } from '../../edge/files/proven-chunks.ts';
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

/** Looks at chunks, several at once; the answers are in the order of the chunks. What was read and found right as it is has no problem. */
export async function lookAtChunks(
  { bucket, settings, signal }: Looking,
  chunks: readonly ManifestChunk[],
): Promise<readonly LookedAtChunk[]> {
  const proven = await new ProvenChunks(settings.RUN_DIR, bucket).read();
  return pMap(
    chunks,
    async (chunk) => {
      const head = await headObject(bucket, chunk.key);
      const isProven = isWorthReading(chunk, head) && head?.etag === proven.get(chunk.key);
      return { chunk, head, problem: isProven ? undefined : chunkProblem(chunk, head) };
    },
    { concurrency: REQUESTS_AT_ONCE, signal },
  );
}

/** What a look at chunks needs. */
type Looking = Pick<StageContext, 'bucket' | 'settings' | 'signal'>;

/**
 * Remembers, for looks to come, what reading the bytes has settled.
 * @param right chunks whose bytes are those of their manifest, although something speaks against it
 * @param damaged keys of those whose bytes are not
 */
export async function rememberRead(
  { bucket, settings, log }: Pick<StageContext, 'bucket' | 'settings' | 'log'>,
  right: readonly LookedAtChunk[],
  damaged: ReadonlySet<string>,
): Promise<void> {
  const file = new ProvenChunks(settings.RUN_DIR, bucket);
  const before = await file.read();
  const etags = new Map([...before].filter(([key]) => !damaged.has(key)));
  for (const { chunk, head } of right) if (head && head.etag !== '') etags.set(chunk.key, head.etag);
  if (isDeepStrictEqual(etags, before)) return;
  await file.write(etags).catch((error: unknown) => {
    log.warn(`the next verify reads them again: ${describeError(error)}`);
  });
}

/**
 * A listing whose ETags can be held against manifests: some servers list others than HEAD gives, by which backups were published. Chunks
 * that seem to be others are looked at one by one, and those that are right get the ETag of their manifest.
 * @param onDenied for credentials that may list but not read: called once, with the first chunk that is denied; those that were not
 *   looked at keep the ETag of the listing, and so the doubt
 * @throws ToolError when a chunk cannot be looked at; also where that is denied, without `onDenied`
 */
export async function withEtagsOfHead<Listed extends { key: string; sizeBytes: number; etag: string }>(
  { bucket, settings, signal }: Looking,
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
  const proven = doubtful.length > 0 ? await new ProvenChunks(settings.RUN_DIR, bucket).read() : undefined;
  let isDeniedOnce = false;
  const look = async (chunk: ManifestChunk) => {
    const isProven = (etag: string | undefined) => etag !== undefined && etag === proven?.get(chunk.key);
    if (isProven(objects.get(chunk.key)?.etag)) return void right.set(chunk.key, chunk.etag ?? '');
    // A look that is denied takes six requests, and a copied bucket may have thousands of such chunks.
    if (isDeniedOnce) return;
    try {
      const head = await headObject(bucket, chunk.key);
      if (chunkProblem(chunk, head) === undefined || isProven(head?.etag))
        right.set(chunk.key, chunk.etag ?? '');
    } catch (error) {
      if (!onDenied || !isDenied(error)) throw error;
      if (!isDeniedOnce) onDenied(chunk.key);
      isDeniedOnce = true;
    }
  };
  await pMap(doubtful, look, { concurrency: REQUESTS_AT_ONCE, signal });
  return listed.map((object) => ({ ...object, etag: right.get(object.key) ?? object.etag }));
}
