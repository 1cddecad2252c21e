/**
 * The length of a send stream, from the one that `btrfs send --no-data` makes: that has `update_extent` in place of each piece of data,
 * and every other command as it is. Exact to the byte for what is sent as it is read (measured with kernel 6.18); of extents that are sent
 * compressed only the plain length is known.
 */
import { CommandScanner, type Memory } from './command-scanner.ts';
import { COMMAND_HEADER_BYTES, COMMANDS, STREAM_HEADER_BYTES } from './commands.ts';

/** Attributes have a type and a length, of two bytes each; but the data of a write has no length from version 2 on. */
const attributeHeaderBytes = 4;
const offsetAttributeBytes = attributeHeaderBytes + 8;

/**
 * Bytes of data in one write: what fits the kernel's buffer of 64 KiB, less 16 KiB for all else, and 128 KiB from version 2 on
 * (fs/btrfs/send.c, `max_send_read_size`).
 */
const dataOfWrite = { 1: 48 * 1024, 2: 128 * 1024 } as const;

/** The estimate of one stream. */
export class StreamEstimator {
  readonly #scanner = new CommandScanner((type, memory, from, to) => this.#see(type, memory, from, to));
  #dataBytes = 0;
  #otherBytes = STREAM_HEADER_BYTES;

  /** Takes the next bytes of the stream without data. @throws StreamFormatError when they are none */
  push(bytes: Uint8Array): void {
    this.#scanner.push(bytes);
  }

  /** Bytes of file data, and of all else, that the stream with data will have. @throws StreamFormatError when it is not at its end */
  finish(): { readonly dataBytes: number; readonly otherBytes: number } {
    this.#scanner.finish();
    return { dataBytes: this.#dataBytes, otherBytes: this.#otherBytes };
  }

  /** Path, offset and size, in this order. */
  #see(type: number, { view }: Memory, from: number, to: number): undefined {
    if (type !== COMMANDS.updateExtent) {
      this.#otherBytes += to - from;
      return;
    }
    const pathBytes = view.getUint16(from + COMMAND_HEADER_BYTES + 2, true);
    const size = Number(view.getBigUint64(to - 8, true));
    const isFirstVersion = this.#scanner.version === 1;
    const writes = Math.ceil(size / dataOfWrite[isFirstVersion ? 1 : 2]);
    const dataHeaderBytes = isFirstVersion ? attributeHeaderBytes : attributeHeaderBytes - 2;
    const headBytes = COMMAND_HEADER_BYTES + attributeHeaderBytes + pathBytes + offsetAttributeBytes;
    this.#dataBytes += size;
    this.#otherBytes += writes * (headBytes + dataHeaderBytes);
  }
}
