/** One chunk on its way into the bucket: its parts, the journal lines that let a later run go on, and its completion. */

import type { StoredChunk, StoredPart } from '../../core/format/run-files.ts';
import type { EarlierChunk } from '../../core/plan/resume.ts';
import type { Part } from '../../core/stream/chunker.ts';
import type { Journal } from '../../edge/files/journal.ts';
import type { ListedPart, MultipartUpload } from '../../edge/s3/multipart-uploads.ts';
import type { StoredObject } from '../../edge/s3/objects.ts';
import type { PartDigests } from '../memory/hash-worker.ts';
import type { Hasher } from '../memory/hasher.ts';
import type { ChunkWriter } from './chunk-writer.ts';
import type { PartBody } from './part-payload.ts';

/** The stream is not what an earlier run sent, although a completed chunk of that run was to be kept. */
export class StreamChanged extends Error {
  override readonly name = 'StreamChanged';
  readonly chunkIndex: number;

  constructor(chunkIndex: number, partNumber: number) {
    super(`chunk ${chunkIndex} differs in part ${partNumber}`);
    this.chunkIndex = chunkIndex;
  }
}

/** A chunk that an earlier run completed: as its journal has it, or as it was found, its own digest not known yet. */
type CompletedChunk =
  | StoredChunk
  | (StoredObject & { readonly parts: readonly string[]; readonly size: number });

/** What chunk uploads share. */
export interface ChunkUploadTools {
  readonly writer: ChunkWriter;
  readonly journal: Journal;
  readonly hasher: Hasher;
  /** Told of bytes that need not be sent, because the bucket has them. */
  readonly onReused: (bytes: number) => void;
  /** Told why what an earlier run had stored is of no use. */
  readonly onLost: (reason: string) => void;
}

/** Stores the parts of one chunk, in any order, and completes it. */
export class ChunkUpload {
  readonly #tools: ChunkUploadTools;
  readonly #index: number;
  readonly #key: string;
  readonly #partSizeBytes: number;
  readonly #earlier: EarlierChunk | undefined;
  readonly #stored = new Map<number, StoredPart>();
  #begun: Promise<{ upload: MultipartUpload; listed: ReadonlyMap<number, ListedPart> }> | undefined;
  #completed: Promise<CompletedChunk | undefined> | undefined;
  /** True when the completed chunk holds other bytes than the stream. */
  #isReplaced = false;
  /** ETag of an object of ours under this key. */
  #replaces: string | undefined;
  #whole: StoredChunk | undefined;

  constructor(
    tools: ChunkUploadTools,
    place: {
      readonly index: number;
      readonly key: string;
      readonly partSizeBytes: number;
      /** ETag of what we stored under this key before, if anything. */
      readonly replaces: string | undefined;
    },
    earlier: EarlierChunk | undefined,
  ) {
    this.#tools = tools;
    this.#index = place.index;
    this.#key = place.key;
    this.#partSizeBytes = place.partSizeBytes;
    this.#replaces = place.replaces;
    this.#earlier = earlier?.key === place.key ? earlier : undefined;
  }

  /**
   * Stores one part, unless the bucket has its bytes from an earlier run: equality is decided by SHA-256.
   * @throws StreamChanged when a completed chunk turns out to hold other bytes.
   */
  async store(part: Part, digests: PartDigests): Promise<void> {
    this.#completed ??= this.#confirmCompleted();
    const completed = await this.#completed;
    if (completed && !this.#isReplaced) {
      const isLast = part.number === completed.parts.length;
      const isSame = completed.parts[part.number - 1] === digests.part && isLast === part.endsChunk;
      if (isSame) {
        this.#tools.onReused(part.sizeBytes);
        return;
      }
      // Parts are compared in their order: where the first differs, none has been passed over yet.
      if (part.number > 1) throw new StreamChanged(this.#index, part.number);
      this.#tools.onLost(`the stream has changed: ${this.#key} is sent again`);
      this.#isReplaced = true;
      this.#replaces = completed.etag;
    }
    const body = this.#bodyOf(part, digests.part);
    if (part.number === 1 && part.endsChunk) {
      const stored = await this.#tools.writer.putWhole(this.#key, body, this.#replaces);
      this.#whole = this.#describe([digests.part], part.sizeBytes, digests.chunk, stored);
      return;
    }
    this.#begun ??= this.#begin();
    const { upload, listed } = await this.#begun;
    const kept = this.#earlier?.parts.get(part.number);
    if (
      kept?.sha256 === digests.part &&
      kept.size === part.sizeBytes &&
      listed.get(part.number)?.etag === kept.etag
    ) {
      this.#stored.set(part.number, kept);
      this.#tools.onReused(part.sizeBytes);
      return;
    }
    const etag = await this.#tools.writer.putPart(upload, part.number, body);
    const stored = { number: part.number, size: part.sizeBytes, sha256: digests.part, etag };
    this.#stored.set(part.number, stored);
    await this.#tools.journal.append({ event: 'part-stored', index: this.#index, ...stored });
  }

  /** Completes the chunk; to be called when all its parts are stored. `sha256` is the chunk's, in hex. */
  async finish(sha256: string): Promise<StoredChunk> {
    const completed = this.#isReplaced ? undefined : await this.#completed;
    if (completed && 'index' in completed) return completed;
    const chunk = completed
      ? this.#describe(completed.parts, completed.size, sha256, completed)
      : (this.#whole ?? (await this.#complete(sha256)));
    await this.#tools.journal.append({ event: 'chunk-completed', ...chunk });
    return chunk;
  }

  /** The chunk as an earlier run completed it, if the bucket still has it. */
  async #confirmCompleted(): Promise<CompletedChunk | undefined> {
    if (!this.#earlier) return undefined;
    const { completed, uploadId, parts } = this.#earlier;
    if (completed) {
      if (await this.#tools.writer.has(completed)) return completed;
      this.#tools.onLost(
        `${this.#key} is no longer in the bucket as it was stored (${this.#tools.writer.server}): it is sent again`,
      );
      return undefined;
    }
    // The run may have died after S3 had made the object, and before the journal said so.
    const stored = [...parts.values()].sort((a, b) => a.number - b.number);
    const isGapless = stored.every(({ number }, index) => number === index + 1);
    if (uploadId === undefined || stored.length === 0 || !isGapless) return undefined;
    const made = await this.#tools.writer.findMadeOf(this.#key, stored);
    return made && { ...made, parts: stored.map((part) => part.sha256), size: sumOf(stored) };
  }

  async #complete(sha256: string): Promise<StoredChunk> {
    if (!this.#begun) throw new Error(`chunk ${this.#index} has no parts`);
    const { upload } = await this.#begun;
    const parts = [...this.#stored.values()].sort((a, b) => a.number - b.number);
    const object = await this.#tools.writer.complete(upload, parts, this.#replaces);
    return this.#describe(
      parts.map((part) => part.sha256),
      sumOf(parts),
      sha256,
      object,
    );
  }

  /** Goes on with the multipart upload of an earlier run, if the server still knows it. */
  async #begin(): Promise<{ upload: MultipartUpload; listed: ReadonlyMap<number, ListedPart> }> {
    const { writer, journal, onLost } = this.#tools;
    if (this.#earlier?.uploadId && !this.#earlier.completed) {
      const upload = { key: this.#key, uploadId: this.#earlier.uploadId };
      const listed = await writer.listParts(upload);
      if (listed) return { upload, listed };
      onLost(`the server no longer knows the upload of ${this.#key}: its parts are sent again`);
    }
    const upload = await writer.begin(this.#key);
    await journal.append({
      event: 'chunk-begun',
      index: this.#index,
      key: upload.key,
      upload_id: upload.uploadId,
    });
    return { upload, listed: new Map() };
  }

  #bodyOf(part: Part, sha256: string): PartBody {
    const bytes = part.slot.bytes.subarray(0, part.sizeBytes);
    return { bytes, sha256, md5: () => this.#tools.hasher.md5(part.slot, part.sizeBytes) };
  }

  #describe(
    parts: readonly string[],
    size: number,
    sha256: string,
    object: { readonly etag: string; readonly checksum: string | undefined },
  ): StoredChunk {
    return {
      index: this.#index,
      key: this.#key,
      size,
      sha256,
      etag: object.etag,
      part_size: this.#partSizeBytes,
      parts: [...parts],
      ...(object.checksum !== undefined && { checksum: object.checksum }),
    };
  }
}

function sumOf(parts: readonly StoredPart[]): number {
  return parts.reduce((sum, { size }) => sum + size, 0);
}
