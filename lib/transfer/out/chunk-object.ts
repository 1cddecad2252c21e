/** The object that a chunk becomes: what an earlier run left of it, its parts, the journal lines that let a later run go on, its completion. */

import type { StoredChunk, StoredPart } from '../../core/format/run-files.ts';
import type { EarlierChunk } from '../../core/plan/resume.ts';
import type { Journal } from '../../edge/files/journal.ts';
import { isUnknownUpload, type ListedPart, type MultipartUpload } from '../../edge/s3/multipart-uploads.ts';
import type { StoredObject } from '../../edge/s3/objects.ts';
import type { Hasher } from '../memory/hasher.ts';
import type { ChunkWriter } from './chunk-writer.ts';
import type { PartBody } from './part-payload.ts';

/** What chunk uploads share. */
export interface ChunkUploadTools {
  readonly writer: ChunkWriter;
  readonly journal: Journal;
  /** Of the bytes that are stored. */
  readonly hasher: Hasher;
  /** Called with the number of bytes that need not be sent, because the bucket has them. */
  readonly onReused: (bytes: number) => void;
  /** Called with the reason why what an earlier run had stored is of no use. */
  readonly onLost: (reason: string) => void;
  /** Called for an unfinished upload of an earlier run that the server has ended; its parts are sent again. */
  readonly onEnded: (key: string) => Promise<void>;
}

/** Where a chunk goes. */
export interface ChunkPlace {
  readonly index: number;
  readonly key: string;
  readonly partSizeBytes: number;
  /** ETag of what we stored under this key before, if anything. */
  readonly replaces: string | undefined;
}

/** A chunk that an earlier run completed: as its journal has it, or as it was found, made of these parts. */
export type CompletedChunk =
  | StoredChunk
  | (StoredObject & { readonly parts: readonly string[]; readonly made: readonly StoredPart[] });

/** The stream is not what an earlier run sent, although something that was to be kept of it has been passed over already. */
export class StreamChanged extends Error {
  override readonly name = 'StreamChanged';
  readonly chunkIndex: number;
  /** True when the journal says by now what is of no use; otherwise nothing of this chunk is. */
  readonly isJournalled: boolean;

  constructor(chunkIndex: number, what: string, isJournalled = false) {
    super(`chunk ${chunkIndex} differs in ${what}`);
    this.chunkIndex = chunkIndex;
    this.isJournalled = isJournalled;
  }
}

/** The server ended an upload that was under way: a lifecycle rule, or another program, aborted it. */
export class UploadEnded extends Error {
  override readonly name = 'UploadEnded';
  readonly key: string;

  constructor(key: string, cause: unknown) {
    super(`the upload of ${key} was ended before it was complete`, { cause });
    this.key = key;
  }
}

/** One object under way. */
export class ChunkObject {
  readonly #tools: ChunkUploadTools;
  readonly #place: ChunkPlace;
  readonly #earlier: EarlierChunk | undefined;
  readonly #parts = new Map<number, StoredPart>();
  #begun: Promise<{ upload: MultipartUpload; listed: ReadonlyMap<number, ListedPart> }> | undefined;
  #completed: Promise<CompletedChunk | undefined> | undefined;
  /** ETag of an object of ours under this key. */
  #replaces: string | undefined;

  constructor(tools: ChunkUploadTools, place: ChunkPlace, earlier: EarlierChunk | undefined) {
    this.#tools = tools;
    this.#place = place;
    this.#replaces = place.replaces;
    this.#earlier = earlier?.key === place.key ? earlier : undefined;
  }

  /** The chunk as an earlier run completed it, if the bucket still has it. */
  completed(): Promise<CompletedChunk | undefined> {
    this.#completed ??= this.#confirmCompleted();
    return this.#completed;
  }

  /** Says that the completed chunk holds other bytes than the stream: it will be written over. */
  replace({ etag }: CompletedChunk): void {
    this.#tools.onLost(`the stream has changed: ${this.#place.key} is sent again`);
    this.#replaces = etag;
  }

  /** A part of an earlier run that the server still lists as the journal has it. */
  async keptPart(number: number): Promise<StoredPart | undefined> {
    const kept = this.#earlier?.parts.get(number);
    const { listed } = await this.#begin();
    return kept && listed.get(number)?.etag === kept.etag ? kept : undefined;
  }

  /** All such parts, by number. Begins nothing where there are none. */
  async keptParts(): Promise<readonly StoredPart[]> {
    const numbers = [...(this.#earlier?.parts.keys() ?? [])].sort((a, b) => a - b);
    if (numbers.length === 0) return [];
    const parts = await Promise.all(numbers.map((number) => this.keptPart(number)));
    return parts.filter((part) => part !== undefined);
  }

  /** Takes a part of an earlier run as it is. */
  keep(part: StoredPart): void {
    this.#parts.set(part.number, part);
  }

  /** Stores a part, and says so in the journal. @throws UploadEnded */
  async putPart(part: Omit<StoredPart, 'etag'>, body: PartBody): Promise<void> {
    const { upload } = await this.#begin();
    const etag = await this.#unlessEnded(this.#tools.writer.putPart(upload, part.number, body));
    const stored = { ...part, etag };
    this.#parts.set(part.number, stored);
    await this.#tools.journal.append({ event: 'part-stored', index: this.#place.index, ...stored });
  }

  /** Stores the whole of a chunk that is one part. */
  putWhole(body: PartBody): Promise<StoredObject> {
    return this.#tools.writer.putWhole(this.#place.key, body, this.#replaces);
  }

  /** Makes the parts that were kept and put one object. @returns the parts in their order. @throws UploadEnded */
  async complete(): Promise<{ readonly object: StoredObject; readonly parts: readonly StoredPart[] }> {
    if (this.#parts.size === 0) throw new Error(`chunk ${this.#place.index} has no parts`);
    const { upload } = await this.#begin();
    const parts = inOrder(this.#parts.values());
    const object = await this.#unlessEnded(this.#tools.writer.complete(upload, parts, this.#replaces));
    return { object, parts };
  }

  /** Says in the journal that the chunk is complete, as it is described then. */
  async describe(
    chunk: Pick<StoredChunk, 'size' | 'parts'> & Partial<Pick<StoredChunk, 'sha256' | 'frames'>>,
    { etag, checksum }: StoredObject,
  ): Promise<StoredChunk> {
    const { index, key, partSizeBytes } = this.#place;
    const stored: StoredChunk = {
      index,
      key,
      size: chunk.size,
      ...(chunk.sha256 !== undefined && { sha256: chunk.sha256 }),
      etag,
      part_size: partSizeBytes,
      parts: chunk.parts,
      ...(checksum !== undefined && { checksum }),
      ...(chunk.frames && { frames: chunk.frames }),
    };
    await this.#tools.journal.append({ event: 'chunk-completed', ...stored });
    return stored;
  }

  async #confirmCompleted(): Promise<CompletedChunk | undefined> {
    if (!this.#earlier) return undefined;
    const { completed, uploadId, parts } = this.#earlier;
    if (completed) {
      if (await this.#tools.writer.has(completed)) return completed;
      this.#tools.onLost(
        `${this.#place.key} is no longer in the bucket as it was stored (${this.#tools.writer.server}): it is sent again`,
      );
      return undefined;
    }
    // The run may have died after S3 had made the object, and before the journal said so.
    const made = inOrder(parts.values());
    const isGapless = made.every(({ number }, index) => number === index + 1);
    if (uploadId === undefined || made.length === 0 || !isGapless) return undefined;
    const object = await this.#tools.writer.findMadeOf(this.#place.key, made);
    return object && { ...object, parts: made.map((part) => part.sha256), made };
  }

  async #unlessEnded<Result>(request: Promise<Result>): Promise<Result> {
    return request.catch((error: unknown) => {
      throw isUnknownUpload(error) ? new UploadEnded(this.#place.key, error) : error;
    });
  }

  #begin(): Promise<{ upload: MultipartUpload; listed: ReadonlyMap<number, ListedPart> }> {
    this.#begun ??= this.#beginOnce();
    return this.#begun;
  }

  /** Resumes the multipart upload of an earlier run, if the server still knows it. */
  async #beginOnce(): Promise<{ upload: MultipartUpload; listed: ReadonlyMap<number, ListedPart> }> {
    const { writer, journal, onEnded } = this.#tools;
    const { index, key } = this.#place;
    if (this.#earlier?.uploadId && !this.#earlier.completed) {
      const upload = { key, uploadId: this.#earlier.uploadId };
      const listed = await writer.listParts(upload);
      if (listed) return { upload, listed };
      await onEnded(key);
    }
    const upload = await writer.begin(key);
    await journal.append({ event: 'chunk-begun', index, key: upload.key, upload_id: upload.uploadId });
    return { upload, listed: new Map() };
  }
}

/** Parts by number. */
function inOrder(parts: Iterable<StoredPart>): readonly StoredPart[] {
  return [...parts].sort((a, b) => a.number - b.number);
}

/** The bytes of parts. */
export function sumOf(parts: readonly StoredPart[]): number {
  return parts.reduce((sum, { size }) => sum + size, 0);
}
