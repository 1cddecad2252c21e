/** Hashing off the main thread: parts, chunks and the stream, in the order in which they are reported. */
import { Worker } from 'node:worker_threads';
import { type HashReply, type HashRequest, hashWorkerProgram, type PartDigests } from './hash-worker.ts';
import type { SharedSlot } from './part-pool.ts';

interface Waiting {
  readonly resolve: (reply: HashReply) => void;
  readonly reject: (reason: Error) => void;
}

/** tsx marks functions with `__name` when it compiles them; the worker gets one that does nothing. */
const workerSource = `const __name = (value) => value;
(${hashWorkerProgram})(require('node:worker_threads'), require('node:crypto'));`;

/** The main thread's side of hashing. Answers come in the order of the questions. */
export class Hasher {
  readonly #worker: Worker;
  readonly #waiting: Waiting[] = [];
  #failure: Error | undefined;

  constructor(slots: readonly SharedSlot[]) {
    const workerData = slots.map((slot) => slot.bytes);
    this.#worker = new Worker(workerSource, { eval: true, execArgv: [], env: {}, workerData });
    this.#worker.on('message', (reply: HashReply) => this.#waiting.shift()?.resolve(reply));
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', () => this.#fail(new Error('the hash worker has ended')));
  }

  /** Forgets what was added so far; what follows is a new stream. */
  beginStream(): void {
    this.#post({ type: 'begin-stream' });
  }

  /** Adds bytes of a slot to the current part; they must not change until the part's digest is there. */
  update(slot: { readonly index: number }, from: number, to: number): void {
    this.#post({ type: 'update', slot: slot.index, from, to });
  }

  /** The digests of the part whose bytes were added since the last call. */
  async finishPart(endsChunk: boolean): Promise<PartDigests> {
    return (await this.#ask({ type: 'finish-part', endsChunk })) as PartDigests;
  }

  /** Resolves when all bytes that were added have been hashed, so that their slots may change. */
  async caughtUp(): Promise<void> {
    await this.#ask({ type: 'catch-up' });
  }

  /** Forgets the bytes of the part that was finished last, or is being added: they will come again. */
  takePartBack(): void {
    this.#post({ type: 'take-part-back' });
  }

  /** MD5, in base64, of the first bytes of a slot: for servers that know no SHA-256 checksums. */
  async md5(slot: { readonly index: number }, sizeBytes: number): Promise<string> {
    return ((await this.#ask({ type: 'md5', slot: slot.index, to: sizeBytes })) as { readonly md5: string })
      .md5;
  }

  /** Ends the worker; answers that are still awaited are rejected. */
  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #ask(request: HashRequest): Promise<HashReply> {
    return new Promise((resolve, reject) => {
      if (this.#failure) reject(this.#failure);
      else {
        this.#waiting.push({ resolve, reject });
        this.#post(request);
      }
    });
  }

  #post(request: HashRequest): void {
    this.#worker.postMessage(request);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
  }
}
