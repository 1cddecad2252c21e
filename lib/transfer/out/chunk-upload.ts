/** One chunk of the stream as it is, on its way into the bucket: a part is sent unless the bucket has its bytes. */
import type { StoredChunk } from '../../core/format/run-files.ts';
import type { EarlierChunk } from '../../core/plan/resume.ts';
import { type Part, viewsOf } from '../../core/stream/chunker.ts';
import type { StoredObject } from '../../edge/s3/objects.ts';
import type { PartDigests } from '../memory/hash-worker.ts';
import {
  ChunkObject,
  type ChunkPlace,
  type ChunkUploadTools,
  type CompletedChunk,
  StreamChanged,
  sumOf,
} from './chunk-object.ts';
import type { PartBody } from './part-payload.ts';

/** Stores the parts of one chunk, in any order, and completes it. */
export class ChunkUpload {
  readonly #tools: ChunkUploadTools;
  readonly #index: number;
  readonly #object: ChunkObject;
  /** True when the completed chunk holds other bytes than the stream. */
  #isReplaced = false;
  #whole: { readonly object: StoredObject; readonly size: number; readonly sha256: string } | undefined;

  constructor(tools: ChunkUploadTools, place: ChunkPlace, earlier: EarlierChunk | undefined) {
    this.#tools = tools;
    this.#index = place.index;
    this.#object = new ChunkObject(tools, place, earlier);
  }

  /**
   * Stores one part, unless the bucket has its bytes from an earlier run: equality is decided by SHA-256.
   * @throws StreamChanged when a completed chunk turns out to hold other bytes.
   */
  async store(part: Part, digests: PartDigests): Promise<void> {
    const completed = await this.#object.completed();
    if (completed && !this.#isReplaced) {
      if (isPartOf(completed, part, digests)) {
        this.#tools.onReused(part.sizeBytes);
        return;
      }
      // Parts are compared in their order: where the first differs, none has been passed over yet.
      if (part.number > 1) throw new StreamChanged(this.#index, `part ${part.number}`);
      this.#object.replace(completed);
      this.#isReplaced = true;
    }
    const { number, sizeBytes: size } = part;
    const body = this.#bodyOf(part, digests.part);
    if (number === 1 && part.endsChunk) {
      this.#whole = { object: await this.#object.putWhole(body), size, sha256: digests.part };
      return;
    }
    const kept = await this.#object.keptPart(number);
    if (kept?.sha256 === digests.part && kept.size === size) {
      this.#object.keep(kept);
      this.#tools.onReused(size);
      return;
    }
    await this.#object.putPart({ number, size, sha256: digests.part }, body);
  }

  /** Completes the chunk; to be called when all its parts are stored. `sha256` is the chunk's, in hex. */
  async finish(sha256: string): Promise<StoredChunk> {
    const completed = this.#isReplaced ? undefined : await this.#object.completed();
    if (completed && 'index' in completed) return completed;
    if (completed) {
      const { parts, made } = completed;
      return this.#object.describe({ parts: [...parts], size: sumOf(made), sha256 }, completed);
    }
    if (this.#whole) {
      const { object, size, sha256: part } = this.#whole;
      return this.#object.describe({ parts: [part], size, sha256 }, object);
    }
    const { object, parts } = await this.#object.complete();
    const hashes = parts.map((part) => part.sha256);
    return this.#object.describe({ parts: hashes, size: sumOf(parts), sha256 }, object);
  }

  #bodyOf(part: Part, sha256: string): PartBody {
    const pieces = viewsOf(part.slot.pieces, 0, part.sizeBytes);
    return { pieces, sha256, md5: () => this.#tools.hasher.md5(part.slot, part.sizeBytes) };
  }
}

function isPartOf({ parts }: CompletedChunk, { number, endsChunk }: Part, digests: PartDigests): boolean {
  return parts[number - 1] === digests.part && (number === parts.length) === endsChunk;
}
