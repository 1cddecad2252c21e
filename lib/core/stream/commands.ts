/**
 * The send stream's format: a header, then commands, each of a length, a type, a checksum and attributes (the kernel's
 * Documentation/filesystems/btrfs "dev-send-stream", fs/btrfs/send.h). All numbers are little-endian.
 */
import { crc32c } from './crc32c.ts';

/** Bytes of the stream's header: the magic `btrfs-stream\0` and the version, a u32. */
export const STREAM_HEADER_BYTES = 17;
/** Bytes of a command's header: u32 length of the attributes, u16 type, u32 CRC-32C. */
export const COMMAND_HEADER_BYTES = 10;
const attributeHeaderBytes = 4;

/** What a stream begins with. */
export const STREAM_MAGIC = 'btrfs-stream\0';

/** The commands that matter here, by number. */
export const COMMANDS = {
  subvolume: 1,
  snapshot: 2,
  makeFile: 3,
  makeDirectory: 4,
  makeNode: 5,
  makeFifo: 6,
  makeSocket: 7,
  symlink: 8,
  rename: 9,
  link: 10,
  removeDirectory: 12,
  setXattr: 13,
  removeXattr: 14,
  write: 15,
  clone: 16,
  setTimes: 20,
  end: 21,
  updateExtent: 22,
  encodedWrite: 25,
} as const;

/** Attributes that are read here, by their numbers. */
export const ATTRIBUTES = {
  uuid: 1,
  transid: 2,
  mode: 5,
  device: 8,
  changeTime: 9,
  modificationTime: 10,
  accessTime: 11,
  xattrName: 13,
  xattrData: 14,
  path: 15,
  pathTo: 16,
  pathLink: 17,
  data: 19,
  cloneUuid: 20,
  cloneTransid: 21,
  clonePath: 22,
} as const;

/** Bytes that are no send stream, or a torn one. */
export class StreamFormatError extends Error {}

/** The version that a stream's header names. @throws StreamFormatError when it is no header */
export function parseStreamVersion(bytes: Uint8Array): number {
  for (let at = 0; at < STREAM_MAGIC.length; at++) {
    if (bytes[at] !== STREAM_MAGIC.charCodeAt(at))
      throw new StreamFormatError('it does not begin as a send stream does');
  }
  return viewOf(bytes).getUint32(STREAM_MAGIC.length, true);
}

/** The type of the command that begins with this header. */
export function commandType(header: Uint8Array): number {
  return viewOf(header).getUint16(4, true);
}

/** One attribute; `bytes` is a view of the command's. */
export interface Attribute {
  readonly type: number;
  readonly bytes: Uint8Array;
}

/**
 * The attributes of a command, or those that lie whole in its first bytes. From version 2 on the data of a write has no
 * length and is the last attribute, so it ends the list.
 */
export function* attributesOf(command: Uint8Array): Generator<Attribute> {
  const view = viewOf(command);
  for (let at = COMMAND_HEADER_BYTES; at + attributeHeaderBytes <= command.length; ) {
    const type = view.getUint16(at, true);
    const end = at + attributeHeaderBytes + view.getUint16(at + 2, true);
    if (type === ATTRIBUTES.data || end > command.length) return;
    yield { type, bytes: command.subarray(at + attributeHeaderBytes, end) };
    at = end;
  }
}

/** Makes a command of its attributes, with its length and checksum. */
export function buildCommand(type: number, attributes: readonly Attribute[]): Uint8Array {
  const length = attributes.reduce((sum, { bytes }) => sum + attributeHeaderBytes + bytes.length, 0);
  const command = new Uint8Array(COMMAND_HEADER_BYTES + length);
  const view = viewOf(command);
  view.setUint32(0, length, true);
  view.setUint16(4, type, true);
  let at = COMMAND_HEADER_BYTES;
  for (const attribute of attributes) {
    view.setUint16(at, attribute.type, true);
    view.setUint16(at + 2, attribute.bytes.length, true);
    command.set(attribute.bytes, at + attributeHeaderBytes);
    at += attributeHeaderBytes + attribute.bytes.length;
  }
  view.setUint32(6, crc32c(command), true);
  return command;
}

/** False when a command's checksum is not that of its bytes: it was computed with zeros in its place. */
export function hasRightChecksum(command: Uint8Array): boolean {
  const copy = new Uint8Array(command);
  viewOf(copy).setUint32(6, 0, true);
  return crc32c(copy) === viewOf(command).getUint32(6, true);
}

/** Sixteen bytes as a UUID is written. */
export function formatUuid(bytes: Uint8Array): string {
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** The sixteen bytes of a UUID. */
export function parseUuid(uuid: string): Uint8Array {
  const pairs = uuid.replaceAll('-', '').match(/../g) ?? [];
  return Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16));
}

/** A u64 as a number; transaction ids stay far below 2^53. @throws StreamFormatError for what is none */
export function readTransid(bytes: Uint8Array): number {
  if (bytes.length !== 8) throw new StreamFormatError('a transaction id has not 8 bytes');
  return Number(viewOf(bytes).getBigUint64(0, true));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
