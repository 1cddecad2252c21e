/**
 * Whether `btrfs send` began again in the middle of its stream. Where its process is stopped or frozen (a machine that is suspended, a container
 * that is paused, SIGSTOP) while it waits for room in the pipe, the kernel gives up the system call that makes the stream and then
 * calls it once more: the stream begins anew wherever it was, and `btrfs send` exits 0 (github.com/kdave/btrfs-progs, issues 719 and 1063;
 * seen with kernel 6.18). Cut within the data of a write, such a stream can even look sound to whoever follows its commands.
 */
import { COMMAND_HEADER_BYTES, STREAM_HEADER_BYTES, STREAM_MAGIC, StreamFormatError } from './commands.ts';

const lengthFrom = STREAM_HEADER_BYTES;
const headerBytes = STREAM_HEADER_BYTES + COMMAND_HEADER_BYTES;
/** A first command has a name, two UUIDs and two numbers. What is longer is none, as those who read it find out. */
const mostHeadBytes = 4096;

/** A stream that holds its own beginning once more. */
export class StreamRestarted extends StreamFormatError {
  constructor() {
    super('btrfs send was stopped in the middle of it, and began again');
  }
}

/**
 * Looks for the beginning of a stream, which is its header and first command, further on in it. That command names the snapshot's UUID and state, so no file
 * in the snapshot can hold it.
 */
export class RestartWatch {
  /** The beginning, as far as it has come. */
  #head: Buffer = Buffer.alloc(0);
  #headBytes = headerBytes;
  /** The last bytes of the stream, too few to hold the beginning. */
  #last: Buffer = Buffer.alloc(0);

  /** Takes the next bytes of the stream. @throws StreamRestarted when they bring its beginning once more */
  look(bytes: Uint8Array): void {
    const next = this.#afterHead(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    if (next.length === 0 || this.#headBytes > mostHeadBytes) return;
    const most = this.#headBytes - 1;
    const seam = Buffer.concat([this.#last, next.subarray(0, most)]);
    if (seam.includes(this.#head) || next.includes(this.#head)) throw new StreamRestarted();
    // A copy: the memory belongs to who gave it.
    this.#last = Buffer.from((next.length < most ? seam : next).subarray(-most));
  }

  /** Whether the last bytes may be the beginning of another beginning, of which the rest has not come. */
  get isUndecided(): boolean {
    return this.#last.some((_, at) => {
      const end = this.#last.subarray(at);
      return end.equals(this.#head.subarray(0, end.length));
    });
  }

  /** What follows the beginning, of which it takes what is missing. */
  #afterHead(bytes: Buffer): Buffer {
    let rest = bytes;
    while (this.#head.length < this.#headBytes && rest.length > 0 && this.#headBytes <= mostHeadBytes) {
      const taken = rest.subarray(0, this.#headBytes - this.#head.length);
      this.#head = Buffer.concat([this.#head, taken]);
      rest = rest.subarray(taken.length);
      if (this.#head.length !== headerBytes) continue;
      // What is no stream may repeat itself, as zeros do.
      const isStream = this.#head.toString('latin1').startsWith(STREAM_MAGIC);
      this.#headBytes += isStream ? this.#head.readUInt32LE(lengthFrom) : mostHeadBytes;
    }
    return rest;
  }
}

/** What reading a stream brings. It is read once more as often as it was restarted. @throws whatever else ends the reading */
export async function unbroken<Result>(read: () => Promise<Result>): Promise<Result> {
  for (;;) {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof StreamRestarted)) throw error;
    }
  }
}
