/** A stream's header and first command: which snapshot it makes, and of which state of which parent. */
import {
  ATTRIBUTES,
  attributesOf,
  COMMANDS,
  commandType,
  formatUuid,
  hasRightChecksum,
  readTransid,
  StreamFormatError,
} from './commands.ts';

/** A subvolume in one state: `transid` is the transaction in which it was last changed. */
export interface SubvolumeState {
  /** Its received UUID where it has one, else its own: that is what `btrfs send` writes. */
  readonly uuid: string;
  /**
   * `ctransid` of the subvolume. It survives balance, defragmentation of other subvolumes and remounts, and moves with every
   * change (measured with kernel 6.18), which the generation does not: balance moves that.
   */
  readonly transid: number;
}

/** What a stream says of itself before its first byte of content. */
export interface StreamHead extends SubvolumeState {
  /** Of the stream's format. */
  readonly version: number;
  /** What an incremental stream has to be applied to. */
  readonly parent: SubvolumeState | undefined;
}

/**
 * Reads a stream's first command.
 * @throws StreamFormatError when it is none that makes a subvolume.
 */
export function parseFirstCommand(version: number, command: Uint8Array): StreamHead {
  const type = commandType(command);
  const isSnapshot = type === COMMANDS.snapshot;
  if (!isSnapshot && type !== COMMANDS.subvolume)
    throw new StreamFormatError(`its first command, of type ${type}, makes no subvolume`);
  if (!hasRightChecksum(command)) throw new StreamFormatError('the checksum of its first command is wrong');
  const found = new Map([...attributesOf(command)].map(({ type: key, bytes }) => [key, bytes]));
  const state = (uuidKey: number, transidKey: number): SubvolumeState => {
    const [uuid, transid] = [found.get(uuidKey), found.get(transidKey)];
    if (uuid?.length !== 16 || !transid)
      throw new StreamFormatError('its first command lacks a UUID or a state');
    return { uuid: formatUuid(uuid), transid: readTransid(transid) };
  };
  return {
    version,
    ...state(ATTRIBUTES.uuid, ATTRIBUTES.transid),
    parent: isSnapshot ? state(ATTRIBUTES.cloneUuid, ATTRIBUTES.cloneTransid) : undefined,
  };
}
