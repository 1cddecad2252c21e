/** Whether a host can receive a chain, as far as manifests and mount show it before the first byte is fetched. */
import type { Manifest } from '../format/manifest.ts';

/** The host, and the filesystem to receive on; undefined is what is not known. */
export interface Receiver {
  readonly progsVersion: readonly [major: number, minor: number] | undefined;
  /** Mount point and options. */
  readonly mountPoint: string;
  readonly mountOptions: readonly string[];
  /** Bytes of its metadata nodes. */
  readonly nodeSize: number | undefined;
}

/** Why a chain cannot be received, and what to do about it. */
export interface Obstacle {
  readonly problem: string;
  readonly hint: string;
}

/** The oldest btrfs-progs that receives protocol 2 well: it has the fixes of 6.0.2 and 6.2 for compressed extents. */
export const PROGS_FOR_PROTOCOL_2 = [6, 2] as const;

/** True for a version that is another one or a later one; an unknown one counts as that. */
export function isAtLeast(
  version: readonly [number, number] | undefined,
  [major, minor]: readonly [number, number],
): boolean {
  return !version || version[0] > major || (version[0] === major && version[1] >= minor);
}

/** Why btrfs-progs cannot receive the streams of a chain; undefined when it can. */
export function progsObstacle(
  manifests: readonly Manifest[],
  version: Receiver['progsVersion'],
): Obstacle | undefined {
  const protocol = Math.max(1, ...manifests.flatMap(({ stream }) => stream?.protocol ?? []));
  if (protocol < 2 || isAtLeast(version, PROGS_FOR_PROTOCOL_2)) return undefined;
  return {
    problem: `streams of protocol ${protocol} need btrfs-progs ${PROGS_FOR_PROTOCOL_2.join('.')} or newer to be received, and here is ${version?.join('.')}`,
    hint: 'update btrfs-progs, or restore on another host',
  };
}

/** Why a chain cannot be received; undefined when nothing speaks against it. */
export function obstacleToReceiving(
  manifests: readonly Manifest[],
  receiver: Receiver,
): Obstacle | undefined {
  const { mountPoint, nodeSize } = receiver;
  const demanded = new Set(manifests.flatMap(({ stream }) => stream?.features ?? []));
  const lacking = lackingOptions(receiver).find(({ feature }) => demanded.has(feature));
  const leastNodeSize = Math.max(0, ...manifests.map(({ stream }) => stream?.least_node_size ?? 0));
  const progs = progsObstacle(manifests, receiver.progsVersion);
  if (progs) return progs;
  if (lacking) {
    const { what, option, remedy } = lacking;
    return {
      problem: `${what} of this backup cannot be set below ${mountPoint}, which is mounted with ${option}`,
      hint: `mount -o remount,${remedy} ${mountPoint}, or choose a TARGET on another filesystem`,
    };
  }
  if (nodeSize === undefined || leastNodeSize <= nodeSize) return undefined;
  return {
    problem: `an extended attribute or symbolic link of this backup needs metadata nodes of ${leastNodeSize} bytes, and those of ${mountPoint} have ${nodeSize}`,
    hint: 'choose a TARGET on a filesystem with larger nodes: mkfs.btrfs -n 16384 is the default',
  };
}

/** What may stand in the way of receiving backups of earlier versions, which did not record what they demand; a clause each. */
export function doubtsOfReceiving(manifests: readonly Manifest[], receiver: Receiver): readonly string[] {
  const { mountPoint, nodeSize } = receiver;
  const isRecorded = manifests.every(({ stream }) => stream?.features !== undefined);
  if (isRecorded) return [];
  const lacking = lackingOptions(receiver).map(
    ({ what, option }) => `${mountPoint} is mounted with ${option}, where ${what} cannot be set`,
  );
  const small = nodeSize !== undefined && nodeSize < defaultNodeSize;
  return [
    ...lacking,
    ...(small
      ? [`${mountPoint} has metadata nodes of ${nodeSize} bytes, which large extended attributes do not fit`]
      : []),
  ];
}

/** Of mkfs.btrfs since 3.12. */
const defaultNodeSize = 16_384;

function lackingOptions({ mountOptions }: Receiver) {
  const found = (...options: readonly string[]) => options.find((option) => mountOptions.includes(option));
  const noCompression = found('nodatacow', 'nodatasum');
  const noAcl = found('noacl');
  return [
    ...(noCompression
      ? [
          {
            feature: 'compression',
            what: 'a compression property',
            option: noCompression,
            remedy: 'datasum',
          },
        ]
      : []),
    ...(noAcl ? [{ feature: 'acl', what: 'an ACL', option: noAcl, remedy: 'acl' }] : []),
  ];
}
