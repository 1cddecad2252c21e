/** What a restore into a scratch filesystem will fetch, thaw and take: looked at, and nothing changed. */
import { statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { partRangesOf } from '../../../core/format/frames.ts';
import type { ManifestChunk, StoredManifest } from '../../../core/format/manifest.ts';
import { type ScratchRoom, scratchRoom } from '../../../core/plan/scratch-room.ts';
import type { SettingValues } from '../../../core/settings/settings.ts';
import { pathExists } from '../../../edge/files/files.ts';
import type { ThawTerms } from '../../../edge/s3/thaw-requests.ts';
import { SPOOLED_RANGE_BYTES } from '../../../transfer/back/fetching.ts';
import type { Selection } from '../../bucket/backups.ts';
import { checkReadable } from '../../bucket/identity.ts';
import { resolveTrustedChain } from '../../bucket/signatures.ts';
import type { StageContext } from '../../context.ts';
import { namingOtherPoints } from '../other-points.ts';
import { chunksOf, lookAtThaw, type ThawOutcome, thawRequestFor } from '../thaw.ts';

/** Which backup is to be restored, and how its chain is thawed. */
export interface ScratchRequest {
  readonly subvolume: string;
  readonly selection: Selection;
  /** What is asked for instead of RESTORE_TIER and RESTORE_DAYS. */
  readonly thaw: Partial<ThawTerms>;
}

/** What it will do. */
export interface ScratchPlan extends ScratchRequest {
  readonly chain: readonly StoredManifest[];
  readonly newest: StoredManifest;
  /** To be fetched. */
  readonly bytes: number;
  /** About as many: what fails is asked for again. */
  readonly requests: number;
  /** `requested` of its objects have to be asked for. */
  readonly outlook: ThawOutcome & { readonly terms: ThawTerms };
  /** Where the image will be. */
  readonly directory: string;
  readonly room: ScratchRoom;
  /** Bytes that are free there. */
  readonly free: number;
}

/** Looks at a chain and at the disk. @throws ToolError when the chain cannot be restored */
export async function planScratch(context: StageContext, request: ScratchRequest): Promise<ScratchPlan> {
  const looking = <Result>(look: () => Promise<Result>) =>
    namingOtherPoints(context, request.subvolume, look);
  const chain = await looking(() => resolveTrustedChain(context, request.subvolume, request.selection));
  await looking(() => checkReadable(context, chain));
  const newest = chain.at(-1);
  if (!newest) throw new Error('a chain has at least one manifest');
  const thaw = thawRequestFor(context, chain, request.thaw);
  const outlook = await looking(() => lookAtThaw(context, thaw));
  const chunks = chunksOf(chain);
  const directory = scratchDirectory(context.settings);
  return {
    ...request,
    chain,
    newest,
    bytes: chunks.reduce((sum, { size }) => sum + size, 0),
    requests: chunks.reduce((sum, chunk) => sum + requestsFor(chunk), 0),
    outlook: { ...outlook, terms: thaw.terms },
    directory,
    room: scratchRoom(streamBytes(chain)),
    free: await freeBytes(directory),
  };
}

/** Bytes of each stream of a chain, as it was sent. */
export function streamBytes(chain: readonly StoredManifest[]): readonly number[] {
  return chain.map(({ manifest }) => manifest.stream?.bytes ?? manifest.total_bytes);
}

/** Bytes that can be written where a directory is, or will be. */
export async function freeBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(await nearestThatExists(directory));
  return bavail * bsize;
}

/** Where scratch images are made. Not /tmp, which is memory on many machines. */
export function scratchDirectory({ SPOOL_DIR }: Pick<SettingValues, 'SPOOL_DIR'>): string {
  return resolve(SPOOL_DIR ?? (process.env.TMPDIR || '/var/tmp'));
}

async function nearestThatExists(directory: string): Promise<string> {
  return (await pathExists(directory)) ? directory : nearestThatExists(dirname(directory));
}

/** A look at a chunk, and a GET for each part, or for each piece of what is read without parts. */
function requestsFor(chunk: ManifestChunk): number {
  return 1 + (chunk.parts ? partRangesOf(chunk).length : Math.ceil(chunk.size / SPOOLED_RANGE_BYTES));
}
