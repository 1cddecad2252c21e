/** Reads one response as its bytes come: the head into a scratch buffer, and the body into the memory that it is for, without a copy. */
import {
  decodeChunked,
  type Framing,
  framingOf,
  parseResponseHead,
  type ResponseHead,
  UnusualResponse,
} from './response-head.ts';

/** A response that has come whole. */
export interface Answer {
  readonly head: ResponseHead;
  /** The body where there is no target for it, such as that of an error; else empty. */
  readonly body: Buffer;
  /** Whether the connection may carry another exchange; of what was collected, only the beginning is known. */
  readonly keepsConnection: boolean;
}

/** Chooses the memory that takes the whole body; undefined for a small body to be collected. @throws UnusualResponse */
export type TargetOf = (head: ResponseHead, framing: Framing) => Uint8Array | undefined;

/** Head, or head and collected body, may be so long. */
export const SCRATCH_BYTES = 32_768;

interface Body {
  readonly head: ResponseHead;
  readonly framing: Framing;
  readonly target: Uint8Array | undefined;
}

/** The reading of one response. */
export class ResponseReader {
  readonly #scratch: Buffer;
  readonly #targetOf: TargetOf;
  readonly #onBytes: (bytes: number) => void;
  #scratchBytes = 0;
  #body: Body | undefined;
  #filledBytes = 0;

  /**
   * @param scratch of SCRATCH_BYTES, for this reader alone as long as it reads
   * @param onBytes called with the number of bytes that arrived in the target
   */
  constructor(scratch: Buffer, targetOf: TargetOf, onBytes: (bytes: number) => void) {
    this.#scratch = scratch;
    this.#targetOf = targetOf;
    this.#onBytes = onBytes;
  }

  /** Where the next bytes have to be put; never empty while the answer is not whole. */
  get room(): Uint8Array {
    const target = this.#body?.target;
    return target ? target.subarray(this.#filledBytes) : this.#scratch.subarray(this.#scratchBytes);
  }

  /** How far it has come, for messages; undefined when nothing has. */
  get progress(): string | undefined {
    if (this.#scratchBytes === 0) return undefined;
    const target = this.#body?.target;
    return target ? `${this.#filledBytes} of ${target.length} bytes` : 'the head';
  }

  /** Takes bytes that were put into `room`; gives the answer once it is whole. @throws UnusualResponse */
  take(bytes: number): Answer | undefined {
    if (this.#body?.target) return this.#fill(this.#body, this.#body.target, bytes);
    this.#scratchBytes += bytes;
    const answer = this.#body ? this.#collect(this.#body) : this.#readHead();
    if (!answer && this.room.length === 0) throw new UnusualResponse('a head, or an error, without an end');
    return answer;
  }

  #readHead(): Answer | undefined {
    const received = this.#scratch.subarray(0, this.#scratchBytes);
    const head = parseResponseHead(received);
    if (!head) return undefined;
    const framing = framingOf(head);
    const target = this.#targetOf(head, framing);
    const body = { head, framing, target };
    this.#body = body;
    if (!target) return this.#collect(body);
    const begun = received.subarray(head.sizeBytes);
    if (begun.length > target.length) throw new UnusualResponse('more bytes than the head says');
    target.set(begun);
    return this.#fill(body, target, begun.length);
  }

  #fill({ head }: Body, target: Uint8Array, bytes: number): Answer | undefined {
    this.#filledBytes += bytes;
    this.#onBytes(bytes);
    if (this.#filledBytes < target.length) return undefined;
    const isLast = /(^|[\t ,])close([\t ,]|$)/i.test(head.headers.connection ?? '');
    return { head, body: Buffer.alloc(0), keepsConnection: !isLast };
  }

  #collect({ head, framing }: Body): Answer | undefined {
    const received = this.#scratch.subarray(head.sizeBytes, this.#scratchBytes);
    const body = framing.kind === 'chunked' ? decodeChunked(received) : takeWhole(received, framing.bytes);
    return body && { head, body: Buffer.from(body), keepsConnection: false };
  }
}

function takeWhole(received: Buffer, bytes: number): Buffer | undefined {
  return received.length < bytes ? undefined : received.subarray(0, bytes);
}
