/** Where a restore goes on that was stopped: what it has received belongs to one chain, and to no other. */
import type { RestoreFile } from '../format/restore-file.ts';
import { formatCount } from '../units.ts';

/** A backup of the chain that is asked for, as restore.json records them. */
export type ChainLink = RestoreFile['chain'][number];

/** The first stream to receive, by its index in the chain; or why what is kept is of something else, as a clause. */
export type ResumePoint = { readonly from: number } | { readonly refused: string };

/**
 * Judges what an earlier restore has left by the chain that is asked for now. A longer chain continues from it, and so does a shorter one
 * that ends where it is.
 */
export function resumePoint(left: RestoreFile, subvolume: string, chain: readonly ChainLink[]): ResumePoint {
  const at = left.chain.findIndex(({ manifest_key }) => manifest_key === left.received?.manifest_key);
  // Without a received stream there are at most parts of the first.
  const known = left.received ? left.chain.slice(0, at + 1) : left.chain.slice(0, 1);
  const isSame = known.every((link, index) => isEqual(link, chain[index]));
  if (left.subvolume === subvolume && isSame && known.length > 0) {
    return { from: left.received ? at + 1 : 0 };
  }
  const what = left.received
    ? `${formatCount(at + 1, 'stream')} of ${left.subvolume} up to ${left.received.manifest_key}`
    : `parts of ${left.chain[0]?.manifest_key}`;
  return {
    refused: `an unfinished restore from ${left.bucket} has left ${what}, which this one does not use`,
  };
}

function isEqual(one: ChainLink, other: ChainLink | undefined): boolean {
  return one.manifest_key === other?.manifest_key && one.bytes_digest === other.bytes_digest;
}
