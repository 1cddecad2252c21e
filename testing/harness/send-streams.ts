/** Send streams made up command by command. */
import {
  ATTRIBUTES,
  type Attribute,
  buildCommand,
  COMMANDS,
  parseUuid,
} from '../../lib/core/stream/commands.ts';

const text = new TextEncoder();

/** The header of a stream. */
export function header(version = 1): Uint8Array {
  const bytes = Buffer.from('btrfs-stream\0....', 'latin1');
  bytes.writeUInt32LE(version, 13);
  return bytes;
}

/** A u64. */
export function u64(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

const attribute = (type: number, bytes: Uint8Array): Attribute => ({ type, bytes });
const path = (type: number, value: string) => attribute(type, text.encode(value));

/** A first command: of a full stream, or with a parent of an incremental one. */
export function firstCommand(
  name: string,
  uuid: string,
  transid: number,
  parent?: readonly [string, number],
): Uint8Array {
  const own = [
    path(ATTRIBUTES.path, name),
    attribute(ATTRIBUTES.uuid, parseUuid(uuid)),
    attribute(ATTRIBUTES.transid, u64(transid)),
  ];
  if (!parent) return buildCommand(COMMANDS.subvolume, own);
  return buildCommand(COMMANDS.snapshot, [
    ...own,
    attribute(ATTRIBUTES.cloneUuid, parseUuid(parent[0])),
    attribute(ATTRIBUTES.cloneTransid, u64(parent[1])),
  ]);
}

/** A command that makes a file, as the kernel numbers it. */
export function makeFile(name: string): Uint8Array {
  return buildCommand(3, [path(ATTRIBUTES.path, name), attribute(3, u64(257))]);
}

/** A rename. */
export function rename(from: string, to: string): Uint8Array {
  return buildCommand(9, [path(ATTRIBUTES.path, from), path(ATTRIBUTES.pathTo, to)]);
}

/** A command that makes a directory. */
export function makeDirectory(name: string): Uint8Array {
  return buildCommand(COMMANDS.makeDirectory, [path(ATTRIBUTES.path, name), attribute(3, u64(257))]);
}

/** Removes a file's name. */
export function unlink(name: string): Uint8Array {
  return buildCommand(11, [path(ATTRIBUTES.path, name)]);
}

/** Removes a directory. */
export function removeDirectory(name: string): Uint8Array {
  return buildCommand(COMMANDS.removeDirectory, [path(ATTRIBUTES.path, name)]);
}

/** A hard link to a file. */
export function link(name: string, to: string): Uint8Array {
  return buildCommand(COMMANDS.link, [path(ATTRIBUTES.path, name), path(ATTRIBUTES.pathLink, to)]);
}

/** The times of a file or directory. */
export function setTimes(name: string): Uint8Array {
  const times = [ATTRIBUTES.accessTime, ATTRIBUTES.modificationTime, ATTRIBUTES.changeTime];
  return buildCommand(COMMANDS.setTimes, [
    path(ATTRIBUTES.path, name),
    ...times.map((type) => attribute(type, new Uint8Array(12))),
  ]);
}

/** A symbolic link. */
export function symlink(name: string, target: string): Uint8Array {
  return buildCommand(COMMANDS.symlink, [path(ATTRIBUTES.path, name), path(ATTRIBUTES.pathLink, target)]);
}

/** A write of version 1, whose data has a length. */
export function write(name: string, data: Uint8Array): Uint8Array {
  return buildCommand(COMMANDS.write, [
    path(ATTRIBUTES.path, name),
    attribute(18, u64(0)),
    attribute(ATTRIBUTES.data, data),
  ]);
}

/** Sets an extended attribute; the top directory's path is empty. */
export function setXattr(name: string, attributeName: string, value: string): Uint8Array {
  return buildCommand(COMMANDS.setXattr, [
    path(ATTRIBUTES.path, name),
    path(ATTRIBUTES.xattrName, attributeName),
    path(ATTRIBUTES.xattrData, value),
  ]);
}

/** Removes an extended attribute. */
export function removeXattr(name: string, attributeName: string): Uint8Array {
  return buildCommand(COMMANDS.removeXattr, [
    path(ATTRIBUTES.path, name),
    path(ATTRIBUTES.xattrName, attributeName),
  ]);
}

/** A clone of something in a subvolume, in a state. */
export function clone(name: string, uuid: string, transid: number, from: string): Uint8Array {
  return buildCommand(COMMANDS.clone, [
    attribute(18, u64(0)),
    attribute(24, u64(4096)),
    path(ATTRIBUTES.path, name),
    attribute(ATTRIBUTES.cloneUuid, parseUuid(uuid)),
    attribute(ATTRIBUTES.cloneTransid, u64(transid)),
    path(ATTRIBUTES.clonePath, from),
    attribute(23, u64(0)),
  ]);
}

/** The last command. */
export const end = buildCommand(COMMANDS.end, []);
