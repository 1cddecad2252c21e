/**
 * Whose manifest stands at the key of an unfinished backup. It is ours when it names the same snapshot and the same chunks, whatever
 * else differs: an update of this tool, another host name or region change the text of a manifest and nothing of its backup.
 */
import { isDeepStrictEqual } from 'node:util';
import { ToolError } from '../../../core/errors.ts';
import { MAX_MANIFEST_BYTES, type Manifest, parseManifest } from '../../../core/format/manifest.ts';
import { SubvolumeKeys } from '../../../core/format/names.ts';
import type { ChunksFile, SnapshotFile } from '../../../core/format/run-files.ts';
import { readDocument } from '../../../edge/s3/documents.ts';
import type { Bucket } from '../../../edge/s3/s3-client.ts';

/** What stands at the key; undefined when nothing does. */
export type FoundManifest =
  | { readonly ours: Manifest; readonly text: string }
  | { readonly theirs: string }
  | undefined;

/** The key under which an unfinished backup will be published. */
export function manifestKeyOf({ prefix }: Bucket, { subvolume, kind, created_at }: SnapshotFile): string {
  return new SubvolumeKeys(prefix, subvolume).manifest(kind, created_at);
}

/**
 * Looks at the key of an unfinished backup.
 * @param upload its finished upload; undefined when that is not whole or not known, so that the snapshot alone decides.
 * @throws ToolError when the bucket cannot be read.
 */
export async function findManifest(
  bucket: Bucket,
  snapshot: SnapshotFile,
  upload: ChunksFile | undefined,
): Promise<FoundManifest> {
  const key = manifestKeyOf(bucket, snapshot);
  try {
    const document = await readDocument(bucket, key, MAX_MANIFEST_BYTES);
    if (!document) return undefined;
    const manifest = parseManifest(document.text, key, bucket.prefix);
    const isOurs = manifest.snapshot.uuid === snapshot.snapshot.uuid && (!upload || holds(manifest, upload));
    return isOurs ? { ours: manifest, text: document.text } : { theirs: `${key} exists already` };
  } catch (error) {
    const isUnreadable = error instanceof ToolError && (error.kind === 'damage' || error.kind === 'thaw');
    if (!isUnreadable) throw error;
    return { theirs: `${key} exists already, and ${error.problem}` };
  }
}

/** Whether a manifest names the chunks of an upload, in their order. */
function holds({ chunks }: Manifest, upload: ChunksFile): boolean {
  return (
    chunks.length === upload.chunks.length &&
    upload.chunks.every(({ key, size, sha256, parts }, index) => {
      const named = chunks[index];
      const isSame = named?.key === key && named.size === size && named.sha256 === sha256;
      // An encoded chunk is known by its parts alone.
      return isSame && (sha256 !== undefined || isDeepStrictEqual(named.parts, parts));
    })
  );
}
