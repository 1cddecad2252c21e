/** What the bucket's description of a chunk says about it, held against the manifest. */
import type { ManifestChunk } from '../format/manifest.ts';

/** An object as the bucket describes it. */
export interface DescribedObject {
  readonly sizeBytes: number;
  readonly etag: string;
  readonly sha256: string | undefined;
}

/**
 * Why a chunk's object is not the one that was uploaded, or undefined when nothing speaks against it. The checksum that
 * S3 keeps decides where there is one; ETags are compared without their quotes, and only where both sides have one.
 */
export function chunkProblem(chunk: ManifestChunk, object: DescribedObject | undefined): string | undefined {
  if (!object) return 'is missing';
  if (object.sizeBytes !== chunk.size) return `has ${object.sizeBytes} bytes instead of ${chunk.size}`;
  if (chunk.checksum !== undefined && object.sha256 !== undefined && object.sha256 !== chunk.checksum) {
    return `has the checksum ${object.sha256} instead of ${chunk.checksum}`;
  }
  // A copy of the bucket may give other ETags to the same bytes.
  if (chunk.checksum !== undefined && object.sha256 === chunk.checksum) return undefined;
  const [etag, recorded] = [bare(object.etag), bare(chunk.etag ?? '')];
  if (etag !== '' && recorded !== '' && etag !== recorded) {
    return `was replaced: its ETag is ${etag} instead of ${recorded}`;
  }
  return undefined;
}

/**
 * False when no reading can help: the object is missing, or of another size. Another checksum or ETag may be that of a copy
 * which was made in other parts; then reading the bytes settles it.
 */
export function isWorthReading(chunk: ManifestChunk, object: DescribedObject | undefined): boolean {
  return object?.sizeBytes === chunk.size;
}

function bare(etag: string): string {
  return etag.replaceAll('"', '');
}
