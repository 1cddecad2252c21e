/** A stream without content: `btrfs receive` makes of it a copy of what it has received, under another UUID. */
import { ATTRIBUTES, buildCommand, COMMANDS, parseUuid, STREAM_MAGIC } from './commands.ts';
import type { SubvolumeState } from './stream-head.ts';

/**
 * Makes the stream. A received UUID is given by `btrfs receive` alone, so what was received under a label of our own gets the one of its
 * backup in this way: a snapshot command and an end.
 * @param name of the copy, below the directory of receive
 * @param as what the copy says that it is: by this the next `btrfs send` and the streams on it know it
 * @param of what it is a copy of, as that was received
 */
export function copyStream(name: string, as: SubvolumeState, of: SubvolumeState): Uint8Array {
  const header = new Uint8Array(STREAM_MAGIC.length + 4);
  header.set(new TextEncoder().encode(STREAM_MAGIC));
  new DataView(header.buffer).setUint32(STREAM_MAGIC.length, 1, true);
  const snapshot = buildCommand(COMMANDS.snapshot, [
    { type: ATTRIBUTES.path, bytes: new TextEncoder().encode(name) },
    { type: ATTRIBUTES.uuid, bytes: parseUuid(as.uuid) },
    { type: ATTRIBUTES.transid, bytes: u64(as.transid) },
    { type: ATTRIBUTES.cloneUuid, bytes: parseUuid(of.uuid) },
    { type: ATTRIBUTES.cloneTransid, bytes: u64(of.transid) },
  ]);
  const end = buildCommand(COMMANDS.end, []);
  const stream = new Uint8Array(header.length + snapshot.length + end.length);
  stream.set(header);
  stream.set(snapshot, header.length);
  stream.set(end, header.length + snapshot.length);
  return stream;
}

function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}
