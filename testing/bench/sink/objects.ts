/** What the sink remembers of objects: their names, sizes and checksums, the bytes of small ones, and nothing of large ones. */
import { createHash } from 'node:crypto';

/** An object without its bytes, or with them where it is small. */
export interface SinkObject {
  readonly sizeBytes: number;
  /** With its quotes. */
  readonly etag: string;
  /** Base64, with `-N` when it is composed of N parts; undefined where the client sent none. */
  readonly sha256: string | undefined;
  readonly bytes: Buffer | undefined;
}

/** A part of an upload, as its client described it. */
export type SinkPart = Omit<SinkObject, 'bytes'>;

/** The objects and uploads of the one bucket there is. Keys are taken as they come: nothing is refused. */
export class SinkObjects {
  readonly #objects = new Map<string, SinkObject>();
  readonly #uploads = new Map<string, Map<number, SinkPart>>();
  #sortedKeys: readonly string[] | undefined;
  #made = 0;

  get(key: string): SinkObject | undefined {
    return this.#objects.get(key);
  }

  put(key: string, object: SinkObject): void {
    if (!this.#objects.has(key)) this.#sortedKeys = undefined;
    this.#objects.set(key, object);
  }

  delete(key: string): void {
    this.#objects.delete(key);
    this.#sortedKeys = undefined;
  }

  /** Begins an upload; gives its id. */
  begin(): string {
    this.#made += 1;
    const id = `upload-${this.#made}`;
    this.#uploads.set(id, new Map());
    return id;
  }

  putPart(uploadId: string, number: number, part: SinkPart): void {
    this.#uploads.get(uploadId)?.set(number, part);
  }

  /** The parts of an upload by number, or undefined when it is not known. */
  parts(uploadId: string): readonly (readonly [number: number, part: SinkPart])[] | undefined {
    const parts = this.#uploads.get(uploadId);
    return parts && [...parts].sort(([a], [b]) => a - b);
  }

  abort(uploadId: string): void {
    this.#uploads.delete(uploadId);
  }

  /** Makes an object of all parts; undefined when the upload is not known. */
  complete(key: string, uploadId: string): SinkObject | undefined {
    const parts = this.parts(uploadId)?.map(([, part]) => part);
    if (!parts) return undefined;
    this.#uploads.delete(uploadId);
    const object = {
      sizeBytes: parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      etag: etagOf(key, parts.length),
      sha256: compositeSha256(parts),
      bytes: undefined,
    };
    this.put(key, object);
    return object;
  }

  /** Up to `most` keys under a prefix behind a key, in the order of UTF-16, which is that of bytes for ASCII. */
  list(
    prefix: string,
    after: string,
    most: number,
  ): { readonly keys: readonly string[]; readonly more: boolean } {
    this.#sortedKeys ??= [...this.#objects.keys()].sort();
    const keys = this.#sortedKeys.filter((key) => key > after && key.startsWith(prefix));
    return { keys: keys.slice(0, most), more: keys.length > most };
  }
}

/**
 * An ETag that does not depend on the bytes, because they are not hashed: it is the same whenever the same key is stored again, so that a backup in
 * the sink stays the one that was published while its upload is measured again and again.
 */
export function etagOf(key: string, parts?: number): string {
  const name = createHash('sha1').update(key).digest('hex').slice(0, 16);
  return parts === undefined ? `"${name}"` : `"${name}-${parts}"`;
}

/** As S3 composes it of the parts' digests; it costs 32 bytes of hashing for each part. */
function compositeSha256(parts: readonly SinkPart[]): string | undefined {
  const whole = createHash('sha256');
  for (const { sha256 } of parts) {
    if (sha256 === undefined) return undefined;
    whole.update(sha256, 'base64');
  }
  return `${whole.digest('base64')}-${parts.length}`;
}
