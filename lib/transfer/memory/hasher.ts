/**
 * Hashing of parts, chunks and the stream, in the order in which they are reported: off the main thread, but for streams so small that the start of a
 * worker would take longer.
 */
import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { viewsOf } from '../../core/stream/chunker.ts';
import { KIB } from '../../core/units.ts';
import {
  type HashReply,
  type HashRequest,
  type HashWorkerData,
  type PartDigests,
  startHashing,
} from './hash-worker.ts';
import type { SharedSlot } from './part-pool.ts';

type BeginStream = Extract<HashRequest, { readonly type: 'begin-stream' }>;

interface Waiting {
  readonly resolve: (reply: HashReply) => void;
  readonly reject: (reason: Error) => void;
}

/** With so many cores the parts and the stream are hashed side by side: one worker with two passes is slower than a line of 1 Gbit/s. */
const coresForTwo = 4;

/** Of a stream that ends within so many bytes no worker is started: that takes 40 ms, and to hash them 1 ms at most. */
const fewBytes = 256 * KIB;

/** The main thread's side of hashing. Answers come in the order of the questions. */
export class Hasher {
  /** Hashes parts. */
  readonly #parts: HashThread;
  /** Hashes the stream and its chunks; the same one where there are few cores. */
  readonly #stream: HashThread;

  /**
   * @param threads 1 or 2; by the number of cores where nothing is said
   * @param hereBytes a stream of so many bytes is hashed in this thread; with less than 0 none is
   */
  constructor(
    slots: readonly SharedSlot[],
    threads = availableParallelism() < coresForTwo ? 1 : 2,
    hereBytes = fewBytes,
  ) {
    const memory = slots.map((slot) => slot.pieces);
    const thread = (hashes: Omit<HashWorkerData, 'slots'>) =>
      new HashThread({ slots: memory, ...hashes }, hereBytes);
    this.#parts = thread({ hashesParts: true, hashesStream: threads === 1 });
    this.#stream = threads === 1 ? this.#parts : thread({ hashesParts: false, hashesStream: true });
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
const { parentPort, workerData } = require('node:worker_threads');
const answerTo = (${startHashing})(workerData, require('node:crypto'), ${viewsOf});
parentPort.on('message', (request) => {
  const reply = answerTo(request);
  if (reply) parentPort.postMessage(reply);
});`;

/** One worker from the first stream on that is not small, and the questions that it has not answered yet. */
class HashThread {
  readonly #workerData: HashWorkerData;
  readonly #hereBytes: number;
  #worker: Worker | undefined;
  #begun: BeginStream = { type: 'begin-stream', partsOnly: false };
  /** What was said since then of a stream that may be small, and the bytes in it. */
  #said: HashRequest[] = [];
  #saidBytes = 0;
  /** Answers in this thread, for a stream that was small when the first question came. Where parts alone are hashed, each is as a stream. */
  #answerHere: ((request: HashRequest) => HashReply | undefined) | undefined;
  readonly #waiting: Waiting[] = [];
  #failure: Error | undefined;

  constructor(workerData: HashWorkerData, hereBytes: number) {
    this.#workerData = workerData;
    this.#hereBytes = hereBytes;
  }

  tell(request: HashRequest): void {
    if (this.#worker) this.#worker.postMessage(request);
    else if (request.type === 'begin-stream') this.#beginAnew(request);
    else if (this.#answerHere) this.#answer(request);
    else {
      this.#said.push(request);
      this.#saidBytes += bytesIn(request);
      if (this.#saidBytes > this.#hereBytes) this.#startWorker();
    }
  }

  ask(request: HashRequest): Promise<HashReply> {
    return new Promise((resolve, reject) => {
      if (this.#failure) {
        reject(this.#failure);
        return;
      }
      this.#waiting.push({ resolve, reject });
      this.tell(request);
      // Not answered by anything yet, only noted.
      if (this.#said.at(-1) === request) this.#hashHere();
    });
  }

  async close(): Promise<void> {
    this.#fail(new Error('the hash worker has ended'));
    await this.#worker?.terminate();
  }

  #beginAnew(begun: BeginStream): void {
    this.#begun = begun;
    this.#said = [begun];
    this.#saidBytes = 0;
    this.#answerHere = undefined;
  }

  #startWorker(): void {
    const worker = new Worker(workerSource, {
      eval: true,
      execArgv: [],
      env: {},
      workerData: this.#workerData,
    });
    worker.on('message', (reply: HashReply) => this.#waiting.shift()?.resolve(reply));
    worker.on('error', (error) => this.#fail(error));
    worker.on('exit', () => this.#fail(new Error('the hash worker has ended')));
    this.#worker = worker;
    for (const request of this.#said.splice(0)) worker.postMessage(request);
  }

  #hashHere(): void {
    this.#answerHere = startHashing(this.#workerData, { createHash }, viewsOf);
    for (const request of this.#said.splice(0)) this.#answer(request);
  }

  #answer(request: HashRequest): void {
    if (this.#failure) return;
    try {
      const reply = this.#answerHere?.(request);
      if (reply) this.#waiting.shift()?.resolve(reply);
      const isByParts = !this.#workerData.hashesStream || this.#begun.partsOnly;
      if (request.type === 'finish-part' && isByParts) this.#beginAnew(this.#begun);
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
  }
}

function bytesIn(request: HashRequest): number {
  if (request.type === 'update') return request.to - request.from;
  return request.type === 'md5' ? request.pieces.reduce((sum, { to }) => sum + to, 0) : 0;
}
