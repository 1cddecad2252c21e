/**
 * Other labels for a stream on its way into `btrfs receive`: the name of the subvolume that it makes, and the UUIDs by which
 * receive finds its parent and what it clones from. Receive takes the first subvolume that carries a UUID, and a filesystem may
 * hold several that do; and a name takes up room in front of each path.
 */
import {
  ATTRIBUTES,
  type Attribute,
  attributesOf,
  buildCommand,
  COMMANDS,
  formatUuid,
  parseUuid,
  readTransid,
} from '../commands.ts';
import type { StreamHead, SubvolumeState } from '../stream-head.ts';
import { clearInherited, type RootAttributes } from './root-attributes.ts';
import { setRootTimes } from './root-times.ts';

/** What a stream is received as. */
export interface Labels {
  /** Of one byte, so that the longest paths can be received. */
  readonly name: string;
  readonly uuid: string;
  /** What its parent was received as; undefined for a full stream. */
  readonly parentUuid: string | undefined;
  /** Of the top directory; the same for all streams of a chain. */
  readonly rootAttributes: RootAttributes;
  /** True where a new subvolume has a compression property from where it is received. */
  readonly inheritsCompression?: boolean;
  /** Of the top directory: seconds since 1970 with nine decimals; undefined where only the stream has it, if it does. */
  readonly mtime?: string | undefined;
}

/** The first command of a stream with these labels, and what has to follow it. */
export function relabelFirstCommand(type: number, command: Uint8Array, labels: Labels): Uint8Array {
  const replaced = new Map([
    [ATTRIBUTES.path, new TextEncoder().encode(labels.name)],
    [ATTRIBUTES.uuid, parseUuid(labels.uuid)],
    ...(labels.parentUuid === undefined
      ? []
      : [[ATTRIBUTES.cloneUuid, parseUuid(labels.parentUuid)] as const]),
  ]);
  // A snapshot inherits from its source alone.
  const inherited = labels.inheritsCompression ? [clearInherited()] : [];
  const first = type === COMMANDS.subvolume ? inherited : labels.rootAttributes.removing();
  return concatenate(rebuild(type, command, replaced), ...first);
}

/** The last command of a stream, and what has to come before it. */
export function relabelEnd(command: Uint8Array, { rootAttributes, mtime }: Labels): Uint8Array {
  const times = mtime === undefined ? [] : [setRootTimes(mtime)];
  return concatenate(...rootAttributes.setting(), ...times, command);
}

/** A clone command with the label of what it clones from; undefined where that is neither the snapshot nor its parent. */
export function relabelClone(command: Uint8Array, head: StreamHead, labels: Labels): Uint8Array | undefined {
  const found = new Map([...attributesOf(command)].map(({ type, bytes }) => [type, bytes]));
  const [uuid, transid] = [found.get(ATTRIBUTES.cloneUuid), found.get(ATTRIBUTES.cloneTransid)];
  if (!uuid || !transid) return undefined;
  const source = { uuid: formatUuid(uuid), transid: readTransid(transid) };
  // Snapshots may share a UUID, but not with different contents in one state.
  const label = isState(source, head)
    ? labels.uuid
    : isState(source, head.parent)
      ? labels.parentUuid
      : undefined;
  if (label === undefined) return undefined;
  return rebuild(COMMANDS.clone, command, new Map([[ATTRIBUTES.cloneUuid, parseUuid(label)]]));
}

/** Commands in a row. */
export function concatenate(...pieces: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

function isState(one: SubvolumeState, other: SubvolumeState | undefined): boolean {
  return one.uuid === other?.uuid && one.transid === other.transid;
}

function rebuild(type: number, command: Uint8Array, replaced: ReadonlyMap<number, Uint8Array>): Uint8Array {
  const attributes = [...attributesOf(command)].map(
    (attribute): Attribute => ({
      type: attribute.type,
      bytes: replaced.get(attribute.type) ?? attribute.bytes,
    }),
  );
  return buildCommand(type, attributes);
}
