/** Hashing off the main thread: parts, chunks and the stream, in the order in which they are reported. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { viewsOf } from '../../core/stream/chunker.ts';
import {
  type HashReply,
  type HashRequest,
  type HashWorkerData,
  hashWorkerProgram,
  type PartDigests,
} from './hash-worker.ts';
import type { SharedSlot } from './part-pool.ts';

interface Waiting {
  readonly resolve: (reply: HashReply) => void;
  readonly reject: (reason: Error) => void;
}

/** With so many cores the parts and the stream are hashed side by side: one worker with two passes is slower than a line of 1 Gbit/s. */
const coresForTwo = 4;

/** The main thread's side of hashing. Answers come in the order of the questions. */
export class Hasher {
  /** Hashes parts. */
  readonly #parts: HashThread;
  /** Hashes the stream and its chunks; the same one where there are few cores. */
  readonly #stream: HashThread;

  /** @param threads 1 or 2; by the number of cores where nothing is said */
  constructor(slots: readonly SharedSlot[], threads = availableParallelism() < coresForTwo ? 1 : 2) {
    const memory = slots.map((slot) => slot.pieces);
    this.#parts = new HashThread({ slots: memory, hashesParts: true, hashesStream: threads === 1 });
    this.#stream =
      threads === 1 ? this.#parts : new HashThread({ slots: memory, hashesParts: false, hashesStream: true });
  }

  /** Forgets what was added so far; what follows is a new stream. @param partsOnly leaves the hashes of chunks and stream out */
  beginStream({ partsOnly = false } = {}): void {
    this.#tell({ type: 'begin-stream', partsOnly });
  }

  /** Adds bytes of a slot to the current part; they must not change until the part's digest is there. */
  update(slot: { readonly index: number }, from: number, to: number): void {
    this.#tell({ type: 'update', slot: slot.index, from, to });
  }

  /** The digests of the part whose bytes were added since the last call. */
  async finishPart(endsChunk: boolean): Promise<PartDigests> {
    const [parts, stream] = await this.#askAll({ type: 'finish-part', endsChunk });
    return { ...(stream as PartDigests), part: (parts as PartDigests).part };
  }

  /** Resolves when all bytes that were added have been hashed, so that their slots may change. */
  async caughtUp(): Promise<void> {
    await this.#askAll({ type: 'catch-up' });
  }

  /** Forgets the bytes of the part that was finished last, or is being added: they will come again. */
  takePartBack(): void {
    this.#tell({ type: 'take-part-back' });
  }

  /** MD5, in base64, of the first bytes of a slot: for servers without SHA-256 checksums. */
  md5(slot: { readonly index: number }, sizeBytes: number): Promise<string> {
    return this.md5OfPieces([{ slot, sizeBytes }]);
  }

  /** The same for the first bytes of several slots, one after the other. */
  async md5OfPieces(
    pieces: readonly { readonly slot: { readonly index: number }; readonly sizeBytes: number }[],
  ): Promise<string> {
    const asked = pieces.map(({ slot, sizeBytes }) => ({ slot: slot.index, to: sizeBytes }));
    const reply = await this.#parts.ask({ type: 'md5', pieces: asked });
    return (reply as { readonly md5: string }).md5;
  }

  /** Ends the workers; answers that are still awaited are rejected. */
  async close(): Promise<void> {
    await Promise.all([this.#parts.close(), this.#stream.close()]);
  }

  #tell(request: HashRequest): void {
    this.#parts.tell(request);
    if (this.#stream !== this.#parts) this.#stream.tell(request);
  }

  #askAll(request: HashRequest): Promise<readonly [parts: HashReply, stream: HashReply]> {
    const parts = this.#parts.ask(request);
    return Promise.all([parts, this.#stream === this.#parts ? parts : this.#stream.ask(request)]);
  }
}

/** tsx marks functions with `__name` when it compiles them; the worker gets one that does nothing. */
const workerSource = `const __name = (value) => value;
(${hashWorkerProgram})(require('node:worker_threads'), require('node:crypto'), ${viewsOf});`;

/** One worker, and the questions that it has not answered yet. */
class HashThread {
  readonly #worker: Worker;
  readonly #waiting: Waiting[] = [];
  #failure: Error | undefined;

  constructor(workerData: HashWorkerData) {
    this.#worker = new Worker(workerSource, { eval: true, execArgv: [], env: {}, workerData });
    this.#worker.on('message', (reply: HashReply) => this.#waiting.shift()?.resolve(reply));
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', () => this.#fail(new Error('the hash worker has ended')));
  }

  tell(request: HashRequest): void {
    this.#worker.postMessage(request);
  }

  ask(request: HashRequest): Promise<HashReply> {
    return new Promise((resolve, reject) => {
      if (this.#failure) reject(this.#failure);
      else {
        this.#waiting.push({ resolve, reject });
        this.tell(request);
      }
    });
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
  }
}
