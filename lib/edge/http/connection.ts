/**
 * A connection to a server that carries one GET after the other. Node reads from the socket into memory that is named beforehand
 * (`onread`, https://nodejs.org/api/net.html#new-netsocketoptions), so a body is copied by the kernel alone: 0.3 CPU-s/GiB, where
 * reading through node:http takes 1.1 (testing/bench/README.md).
 */
import type { OnReadOpts, Socket } from 'node:net';
import { type Answer, ResponseReader, SCRATCH_BYTES, type TargetOf } from './response-reader.ts';

/** A request without a body, and what becomes of its answer. */
export interface Exchange {
  /** Request line and headers, with the empty line that ends them. */
  readonly request: string;
  readonly targetOf: TargetOf;
  /** Called with the number of bytes that arrived in the target. */
  readonly onBytes: (bytes: number) => void;
  /** Ends the exchange, and with it the connection; its reason is what comes out. */
  readonly signal: AbortSignal;
}

/** How long a connection may take, in milliseconds. */
export interface ConnectionTimeouts {
  /** To be made, with its TLS. */
  readonly connectMs: number;
  /** Without a byte. */
  readonly idleMs: number;
}

/** Opens a socket, which must get these options. */
export type Connect = (onread: OnReadOpts) => Socket;

/** Nothing came from a server that was asked over a connection that had been used before: it may have closed that meanwhile. */
export class StaleConnection extends Error {
  override readonly name = 'StaleConnection';
}

/** Nothing came for as long as is waited. */
export class SilentConnection extends Error {
  override readonly name = 'TimeoutError';
  /** Whether an answer had begun. */
  readonly isWithinAnswer: boolean;

  constructor(message: string, isWithinAnswer: boolean) {
    super(message);
    this.isWithinAnswer = isWithinAnswer;
  }
}

interface Running {
  readonly reader: ResponseReader;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (reason: unknown) => void;
}

/** One connection. */
export class Connection {
  readonly #socket: Socket;
  readonly #timeouts: ConnectionTimeouts;
  readonly #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  #running: Running | undefined;
  #isConnected = false;
  #wasUsed = false;
  #isOpen = true;

  constructor(connect: Connect, timeouts: ConnectionTimeouts) {
    this.#timeouts = timeouts;
    this.#socket = connect({
      buffer: () => this.#running?.reader.room ?? this.#scratch,
      callback: (bytes) => this.#receive(bytes),
    });
    this.#socket.setNoDelay(true);
    this.#socket.on('timeout', () => this.#silent());
    this.#socket.once('encrypted' in this.#socket ? 'secureConnect' : 'connect', () => this.#connected());
    this.#socket.on('error', (error) => this.#end(error));
    for (const event of ['end', 'close'] as const) this.#socket.once(event, () => this.#end(undefined));
  }

  /** Whether it can carry another exchange, as far as is known. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /**
   * Sends a request when no other is under way.
   * @throws UnusualResponse; StaleConnection; SilentConnection; an error with one of Node's codes where the network failed; the reason of
   *   the signal
   */
  async send({ request, targetOf, onBytes, signal }: Exchange): Promise<Answer> {
    const abort = () => this.#fail(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    this.#socket.ref();
    try {
      return await new Promise((resolve, reject) => {
        this.#running = { reader: new ResponseReader(this.#scratch, targetOf, onBytes), resolve, reject };
        this.#watch();
        this.#socket.write(request, 'latin1');
      });
    } finally {
      this.#wasUsed = true;
      this.#running = undefined;
      this.#socket.setTimeout(0);
      signal.removeEventListener('abort', abort);
      // An idle connection keeps no process alive.
      this.#socket.unref();
    }
  }

  /** Closes it; an exchange that is under way fails. */
  close(): void {
    this.#fail(new Error('the connection was closed'));
  }

  /** Every byte makes the time begin anew. */
  #watch(): void {
    this.#socket.setTimeout(this.#isConnected ? this.#timeouts.idleMs : this.#timeouts.connectMs);
  }

  #connected(): void {
    this.#isConnected = true;
    if (this.#running) this.#watch();
  }

  #silent(): void {
    const { connectMs, idleMs } = this.#timeouts;
    const says = this.#isConnected
      ? `no data for ${idleMs / 1000} s`
      : `no connection within ${connectMs / 1000} s`;
    this.#fail(new SilentConnection(says, this.#running?.reader.progress !== undefined));
  }

  /** What Node takes as whether to go on reading. */
  #receive(bytes: number): boolean {
    if (!this.#running) {
      // Nothing was asked.
      this.#fail(undefined);
      return false;
    }
    try {
      const answer = this.#running.reader.take(bytes);
      if (answer) {
        this.#running.resolve(answer);
        this.#running = undefined;
        if (!answer.keepsConnection) this.#fail(undefined);
      }
    } catch (error) {
      this.#fail(error);
    }
    return this.#isOpen;
  }

  /** The socket has failed, or the server has closed it. */
  #end(error: Error | undefined): void {
    const reader = this.#running?.reader;
    const come = reader?.progress;
    if (reader && come === undefined && this.#wasUsed) {
      this.#fail(new StaleConnection('the server closed the connection', { cause: error }));
    } else if (error) this.#fail(error);
    else {
      const says = come === undefined ? 'socket hang up' : `premature close after ${come}`;
      this.#fail(Object.assign(new Error(says), { code: 'ECONNRESET' }));
    }
  }

  /** Nothing is written into a target after this. */
  #fail(reason: unknown): void {
    this.#isOpen = false;
    this.#socket.destroy();
    this.#running?.reject(reason);
    this.#running = undefined;
  }
}
