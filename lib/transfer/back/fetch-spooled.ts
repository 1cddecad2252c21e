/**
 * Fetches a chunk piece by piece through a file, for pieces that are too large for memory: large parts, or the whole of a chunk of
 * the Python tool `btrfs_to_s3`, which has one hash for all of it.
 */
import type { ManifestChunk } from '../../core/format/manifest.ts';
import { partRanges } from '../../core/stream/part-sizes.ts';
import { MIB } from '../../core/units.ts';
import { Spool } from '../../edge/files/spool.ts';
import type { PartDigests } from '../memory/hash-worker.ts';
import { type Fetching, type Sink, SPOOLED_RANGE_BYTES } from './fetching.ts';
import { damagedBytes, isOrBecomes } from './verified-bytes.ts';

/** What of a chunk has a hash of its own: SHA-256 in base64. */
interface HashedPiece {
  readonly name: string;
  readonly offset: number;
  readonly length: number;
  readonly sha256: string | undefined;
  readonly problem: string;
}

/**
 * Hands on each piece once its hash is known to be right.
 * @returns the digests at the end of the chunk.
 * @throws ToolError (damage) for a piece that is not what was uploaded.
 */
export async function fetchSpooled(
  { context, memory: { pool, hasher }, progress, read }: Fetching,
  chunk: ManifestChunk,
  sink: Sink,
): Promise<PartDigests> {
  const slot = await pool.acquire();
  const spool = await Spool.open(context.settings.RUN_DIR);
  let digests: PartDigests = { part: '', chunk: '', stream: '' };
  try {
    for (const piece of piecesOf(chunk)) {
      const digest = async () => {
        for (const { offset, length } of partRanges(piece.length, SPOOLED_RANGE_BYTES)) {
          const bytes = slot.bytes.subarray(0, length);
          await read({ key: chunk.key, offset: piece.offset + offset, length }, bytes, context.signal);
          hasher.update(slot, 0, length);
          await spool.write(bytes);
          // The worker reads the slot that the next range is written to.
          await hasher.caughtUp();
        }
        digests = await hasher.finishPart(piece.offset + piece.length === chunk.size);
        return digests.part;
      };
      const readAgain = async () => {
        context.log.warn(`${piece.name} is not what was uploaded: reading it again`);
        hasher.takePartBack();
        progress.add(-piece.length);
        await spool.clear();
      };
      if (!(await isOrBecomes(piece.sha256, digest, readAgain)))
        throw damagedBytes(piece.name, piece.problem);
      for await (const bytes of spool.read(slot.bytes.subarray(0, MIB))) await sink(bytes);
      await spool.clear();
    }
    return digests;
  } finally {
    await spool.close();
    pool.release(slot);
  }
}

function piecesOf({ key, size, sha256, part_size, parts }: ManifestChunk): readonly HashedPiece[] {
  if (!parts) {
    const whole = Buffer.from(sha256 ?? '', 'hex').toString('base64');
    const problem = 'its SHA-256 is not that of the manifest';
    return [{ name: `chunk ${key}`, offset: 0, length: size, sha256: whole, problem }];
  }
  return partRanges(size, part_size ?? size).map(({ number, offset, length }) => ({
    name: `part ${number} of ${key}`,
    offset,
    length,
    sha256: parts[number - 1],
    problem: 'it is not what was uploaded',
  }));
}
