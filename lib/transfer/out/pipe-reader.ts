/**
 * Reads a pipe straight into the caller's memory. Node fills buffers that we name (`onread`), at most 64 KiB at a time
 * because a pipe holds no more; measured at about 0.5 CPU-s/GiB where reading through the thread pool took 1.0.
 * The reader looks one read ahead, so it knows whether anything follows what it has filled.
 */
import { closeSync, constants, openSync, rmSync } from 'node:fs';
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { join } from 'node:path';
import { ToolError } from '../../core/errors.ts';
import { KIB, MIB } from '../../core/units.ts';
import { command } from '../../edge/process/child.ts';
import { copyInto } from '../memory/part-pool.ts';

const readBytes = 64 * KIB;
const reportEveryBytes = MIB;

/** Descriptors of a fresh pipe; whoever asked for it closes them. */
export interface Pipe {
  readonly readDescriptor: number;
  readonly writeDescriptor: number;
}

/**
 * Makes a pipe whose write end can be a child's stdout. Node's own child pipes are socket pairs, which cost a copy, so
 * this is a FIFO that loses its name at once.
 * @param directory where the name stands for a moment.
 * @throws ToolError when the directory cannot be written.
 */
export async function openPipe(directory: string): Promise<Pipe> {
  const path = join(directory, `stream-${process.pid}.fifo`);
  rmSync(path, { force: true });
  const made = await command`mkfifo -m 0600 ${path}`;
  if (made.exitCode !== 0) {
    throw new ToolError(`cannot make a pipe in ${directory}`, {
      hint: 'check RUN_DIR: space, permissions and filesystem',
      childOutput: made.stderr,
    });
  }
  try {
    // The read end first, without waiting: opening the write end then finds a reader and does not wait either.
    const readDescriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    return { readDescriptor, writeDescriptor: openSync(path, constants.O_WRONLY) };
  } finally {
    rmSync(path, { force: true });
  }
}

/** Closes the write end in this process, once a child has inherited it; otherwise the pipe would never end. */
export function closeWriteEnd(pipe: Pipe): void {
  closeSync(pipe.writeDescriptor);
}

interface Request {
  readonly target: Uint8Array;
  readonly onFilled: ((from: number, to: number) => void) | undefined;
  readonly resolve: (result: { readonly bytes: number; readonly ended: boolean }) => void;
  readonly reject: (reason: Error) => void;
}

/** Pull-style reading of a pipe: `fill` takes exactly what fits. */
export class PipeReader {
  readonly #socket: Socket;
  /** What arrives while no target has room: the look-ahead. */
  readonly #spill = Buffer.allocUnsafe(readBytes);
  #spillFrom = 0;
  #spillTo = 0;
  #request: Request | undefined;
  #filled = 0;
  #reported = 0;
  #ended = false;
  #failure: Error | undefined;

  constructor(readDescriptor: number) {
    const options: SocketConstructorOpts & { readonly onread: OnReadOpts } = {
      fd: readDescriptor,
      readable: true,
      writable: false,
      onread: {
        buffer: () => this.#nextBuffer(),
        callback: (bytes, buffer) => this.#receive(bytes, buffer),
      },
    };
    this.#socket = new Socket(options);
    this.#socket.once('end', () => {
      this.#ended = true;
      this.#settle();
    });
    this.#socket.once('error', (error) => this.fail(error));
  }

  /**
   * Fills the target; fewer bytes only at the end of the pipe. `onFilled` is called for every MiB.
   * @throws the reason given to `fail`, or the pipe's own error.
   */
  fill(
    target: Uint8Array,
    onFilled?: (from: number, to: number) => void,
  ): Promise<{ readonly bytes: number; readonly ended: boolean }> {
    return new Promise((resolve, reject) => {
      this.#request = { target, onFilled, resolve, reject };
      this.#filled = 0;
      this.#reported = 0;
      this.#takeSpill();
      if (!this.#settle()) this.#socket.resume();
    });
  }

  /** Ends reading; a waiting `fill` and all later ones are rejected with the reason. */
  fail(reason: Error): void {
    this.#failure ??= reason;
    this.#socket.destroy();
    this.#settle();
  }

  #nextBuffer(): Uint8Array {
    const target = this.#request?.target;
    if (!target || this.#filled === target.length) return this.#spill;
    return target.subarray(this.#filled, this.#filled + readBytes);
  }

  /** Returns false to pause. The next buffer was chosen before a pause, so what follows one may land in the spill. */
  #receive(bytes: number, buffer: Uint8Array): boolean {
    if (buffer === this.#spill) {
      this.#spillFrom = 0;
      this.#spillTo = bytes;
      this.#takeSpill();
    } else this.#filled += bytes;
    this.#report(reportEveryBytes);
    return !this.#settle() && this.#request !== undefined;
  }

  #takeSpill(): void {
    const target = this.#request?.target;
    if (!target) return;
    const taken = this.#spill.subarray(this.#spillFrom, this.#spillFrom + target.length - this.#filled);
    const length = Math.min(taken.length, this.#spillTo - this.#spillFrom);
    copyInto(target, this.#filled, taken.subarray(0, length));
    this.#spillFrom += length;
    this.#filled += length;
  }

  #report(atLeastBytes: number): void {
    if (this.#filled - this.#reported < atLeastBytes) return;
    this.#request?.onFilled?.(this.#reported, this.#filled);
    this.#reported = this.#filled;
  }

  /** Answers the waiting request when it is known whether something follows; true when none is waiting any more. */
  #settle(): boolean {
    const request = this.#request;
    if (!request) return false;
    const more = this.#spillTo > this.#spillFrom;
    const full = this.#filled === request.target.length;
    if (!this.#failure && !(full && more) && !this.#ended) return false;
    this.#report(1);
    this.#request = undefined;
    if (this.#failure) request.reject(this.#failure);
    else request.resolve({ bytes: this.#filled, ended: !more });
    return true;
  }
}
