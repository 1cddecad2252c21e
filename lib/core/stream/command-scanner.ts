/**
 * Walks along the commands of a send stream while it passes, in pieces of any size. A visitor sees every command in one piece:
 * where it lies, or gathered; of a write only its beginning. The rest passes unseen.
 */
import {
  COMMAND_HEADER_BYTES,
  COMMANDS,
  parseStreamVersion,
  STREAM_HEADER_BYTES,
  StreamFormatError,
} from './commands.ts';
import { RestartWatch } from './restart-watch.ts';

/** Of a write only the header and the first attribute, which is the path (at most 4096 bytes), are gathered. */
const dataHeadBytes = COMMAND_HEADER_BYTES + 4 + 4096;
/** Far above what any kernel sends: 64 KiB, and from version 2 on 16 KiB of attributes and 128 KiB of compressed data. */
const mostCommandBytes = 4 * 2 ** 20;

/** Memory that holds a command. */
export interface Memory {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/**
 * Looks at a command, which lies in the memory from one position to another. What it returns takes the command's place;
 * undefined: as it is. Of a write it can replace nothing.
 */
export type CommandVisitor = (
  type: number,
  memory: Memory,
  from: number,
  to: number,
) => Uint8Array | undefined;

/** The walk along one stream. */
export class CommandScanner {
  readonly #visit: CommandVisitor;
  #version: number | undefined;
  #lastType: number | undefined;
  /** The beginning of a command, or of the stream's header, that has not come whole yet. */
  #gathered: Memory | undefined;
  /** Bytes of the current command that pass unseen. */
  #unseenBytes = 0;
  readonly #restarts = new RestartWatch();
  /** What was wrong with bytes that may be the first of a stream that begins again. */
  #undecided: StreamFormatError | undefined;

  constructor(visit: CommandVisitor) {
    this.#visit = visit;
  }

  /** The format's version; undefined before the stream's header has come. */
  get version(): number | undefined {
    return this.#version;
  }

  /**
   * Takes the next bytes of the stream.
   * @returns what takes their place, in order: views of them, what was gathered, and what a visitor put in place.
   * @throws StreamRestarted when the stream begins again; StreamFormatError when they are not what a stream has there; whatever the
   *   visitor throws.
   */
  push(bytes: Uint8Array): readonly Uint8Array[] {
    this.#restarts.look(bytes);
    try {
      if (this.#undecided === undefined) return this.#walk(bytes);
    } catch (error) {
      if (!(error instanceof StreamFormatError)) throw error;
      this.#undecided = error;
    }
    if (this.#restarts.isUndecided) return [];
    throw this.#undecided;
  }

  #walk(bytes: Uint8Array): readonly Uint8Array[] {
    const memory = memoryOf(bytes);
    const pieces: Uint8Array[] = [];
    let at = 0;
    /** Where the bytes begin that go on as they are. */
    let unchangedFrom = 0;
    const passOn = () => {
      if (at > unchangedFrom) pieces.push(bytes.subarray(unchangedFrom, at));
    };
    while (at < bytes.length) {
      if (this.#unseenBytes > 0) {
        const passing = Math.min(this.#unseenBytes, bytes.length - at);
        this.#unseenBytes -= passing;
        at += passing;
      } else if (this.#gathered) {
        const before = this.#gathered.bytes;
        const missing = this.#wantedBytes(this.#gathered, 0) - before.length;
        const gathered = memoryOf(concatenate(before, bytes.subarray(at, at + missing)));
        at += gathered.bytes.length - before.length;
        unchangedFrom = at;
        const isWhole = gathered.bytes.length >= this.#wantedBytes(gathered, 0);
        this.#gathered = isWhole ? undefined : gathered;
        if (isWhole) pieces.push(this.#see(gathered, 0, gathered.bytes.length) ?? gathered.bytes);
      } else {
        const end = at + this.#wantedBytes(memory, at);
        if (end > bytes.length) {
          passOn();
          this.#gathered = memoryOf(new Uint8Array(bytes.subarray(at)));
          return pieces;
        }
        const replacement = this.#see(memory, at, end);
        if (replacement) {
          passOn();
          pieces.push(replacement);
          unchangedFrom = end;
        }
        at = end;
      }
    }
    passOn();
    return pieces;
  }

  /** Says that nothing follows. @throws StreamFormatError when the stream is not at its end */
  finish(): void {
    if (this.#undecided !== undefined) throw this.#undecided;
    if (this.#gathered || this.#unseenBytes > 0 || this.#lastType !== COMMANDS.end) {
      throw new StreamFormatError('it ends early');
    }
  }

  /** Bytes that have to be in one piece, as far as those that have arrived show. */
  #wantedBytes({ view }: Memory, at: number): number {
    if (this.#version === undefined) return STREAM_HEADER_BYTES;
    if (view.byteLength - at < COMMAND_HEADER_BYTES) return COMMAND_HEADER_BYTES;
    const total = COMMAND_HEADER_BYTES + view.getUint32(at, true);
    if (total > mostCommandBytes) throw new StreamFormatError(`no command has ${total} bytes`);
    return hasData(view.getUint16(at + 4, true)) ? Math.min(total, dataHeadBytes) : total;
  }

  #see(memory: Memory, from: number, to: number): Uint8Array | undefined {
    if (this.#version === undefined) {
      this.#version = parseStreamVersion(memory.bytes.subarray(from, to));
      return undefined;
    }
    this.#unseenBytes = COMMAND_HEADER_BYTES + memory.view.getUint32(from, true) - (to - from);
    this.#lastType = memory.view.getUint16(from + 4, true);
    return this.#visit(this.#lastType, memory, from, to);
  }
}

function hasData(type: number): boolean {
  return type === COMMANDS.write || type === COMMANDS.encodedWrite;
}

function memoryOf(bytes: Uint8Array): Memory {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
}

function concatenate(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
