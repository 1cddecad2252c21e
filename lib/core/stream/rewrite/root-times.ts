/**
 * The modification time of a subvolume's top directory as a command of a stream: `btrfs receive` sets it to the nanosecond
 * (utimensat(2)), which neither a number of JavaScript nor every touch(1) can hold.
 */
import { ATTRIBUTES, buildCommand, COMMANDS } from '../commands.ts';

const nanosecondsPerSecond = 1_000_000_000n;

/** The command. @param seconds since 1970, with nine decimals, as manifests have it */
export function setRootTimes(seconds: string): Uint8Array {
  const time = timespec(BigInt(seconds.replace('.', '')));
  // All three have to be there; receive makes nothing of the last.
  const times = [ATTRIBUTES.accessTime, ATTRIBUTES.modificationTime, ATTRIBUTES.changeTime];
  return buildCommand(COMMANDS.setTimes, [
    { type: ATTRIBUTES.path, bytes: new Uint8Array() },
    ...times.map((type) => ({ type, bytes: time })),
  ]);
}

/** Whole seconds, rounded down, as an s64, and nanoseconds as a u32 (struct btrfs_timespec, linux/btrfs_tree.h). */
function timespec(nanoseconds: bigint): Uint8Array {
  const rest = ((nanoseconds % nanosecondsPerSecond) + nanosecondsPerSecond) % nanosecondsPerSecond;
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  view.setBigInt64(0, (nanoseconds - rest) / nanosecondsPerSecond, true);
  view.setUint32(8, Number(rest), true);
  return bytes;
}
