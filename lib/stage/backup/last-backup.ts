/** The last backup of a subvolume, as the next one needs to know it: whose it is, and whether it can be restored. */
import { readdir } from 'node:fs/promises';
import { describeError, ToolError } from '../../core/errors.ts';
import { type Manifest, type ManifestChunk, streamUuid } from '../../core/format/manifest.ts';
import type { ContinuedFile, PublishedFile } from '../../core/format/run-files.ts';
import type { LastBackup, LocalSnapshot, PublishedBackup } from '../../core/plan/backup/backup-plan.ts';
import { strangerTo } from '../../core/plan/backup/chain-owner.ts';
import { followChain } from '../../core/plan/chain.ts';
import { chunkState, judgeRestorability } from '../../core/plan/restorability.ts';
import { formatCount } from '../../core/units.ts';
import { RunDirectory } from '../../edge/files/run-directory.ts';
import { listObjects } from '../../edge/s3/objects.ts';
import { type FoundPointer, listManifests, readManifest, rootOf, withoutParts } from '../bucket/backups.ts';
import { lookAtChunks } from '../bucket/look-at-chunks.ts';
import type { StageContext } from '../context.ts';
import { chunksOf } from '../restore/thaw.ts';

/** The backup that the pointer names. Damage must not keep a host from its next backup: then it is a full one. */
export async function findLastBackup(
  context: StageContext,
  subvolume: string,
  pointer: FoundPointer,
): Promise<LastBackup> {
  if (!pointer) return await withoutPointer(context, subvolume);
  try {
    if ('damage' in pointer) throw pointer.damage;
    const manifestKey = pointer.pointer.manifest_key;
    const manifest = await readManifest(context.bucket, manifestKey);
    return { manifestKey, manifest, chain: await lookAtChain(context, manifestKey, manifest) };
  } catch (error) {
    if (!(error instanceof ToolError) || error.kind !== 'damage') throw error;
    context.log.warn(`${subvolume}: the last backup cannot be built on: ${describeError(error)}`);
    return { unreadable: 'the last backup in the bucket is damaged or missing' };
  }
}

/** Without a pointer there is no last backup; that there are others is reported. */
async function withoutPointer({ bucket, log }: StageContext, subvolume: string): Promise<LastBackup> {
  const manifests = await listManifests(bucket, subvolume);
  if (manifests.length === 0) return undefined;
  const problem = `current.json is missing, although there are ${formatCount(manifests.length, 'backup')}`;
  log.warn(`${subvolume}: ${problem}: a new chain begins; AT= and MANIFEST= still restore the others`);
  return { unreadable: problem };
}

/**
 * Makes the checks of a restore that need no bytes: the links of a chain, and whether the bucket has every chunk in its size. One
 * listing, and a small object for each backup of the chain. A chain that fails them is reported.
 */
export async function lookAtChain(
  context: StageContext,
  manifestKey: string,
  manifest: Manifest,
): Promise<PublishedBackup['chain']> {
  const { bucket, log } = context;
  const load = async (key: string) => withoutParts(await readManifest(bucket, key));
  try {
    const chain = await followChain({ key: manifestKey, manifest }, load);
    const listed = await listObjects(bucket, rootOf(bucket, manifest.subvolume));
    const objects = new Map(listed.map((object) => [object.key, { ...object, sha256: undefined }]));
    const manifests = new Map(chain.map((stored) => [stored.key, stored.manifest]));
    const stateOf = (chunk: ManifestChunk) => chunkState(chunk, objects.get(chunk.key));
    const verdict = judgeRestorability(manifests, stateOf).get(manifestKey);
    const [full] = chain;
    if (!full || !verdict) throw new Error('a chain has at least one manifest');
    if (verdict.whyNot !== undefined) return unrestorable(verdict.cause);
    // A listing may have other ETags than HEAD, by which the backup was published.
    const doubtful = chunksOf(chain).filter((chunk) => stateOf(chunk).doubt !== undefined);
    const odd = (await lookAtChunks(context, doubtful)).find(({ problem }) => problem !== undefined);
    const doubt = odd && `chunk ${odd.chunk.key} ${odd.problem}`;
    if (doubt !== undefined) {
      log.warn(
        `${manifest.subvolume}: the chain may not be restorable: ${doubt}; make verify DEEP=1 settles it; if its bytes are right, KIND=incremental continues it`,
      );
    }
    const streamUuids = chain.flatMap(({ manifest: { snapshot } }) => streamUuid(snapshot) ?? []);
    return { full: full.manifest, streamUuids, members: chain, doubt };
  } catch (error) {
    if (!(error instanceof ToolError) || error.kind !== 'damage') throw error;
    return unrestorable(describeError(error));
  }

  function unrestorable(problem: string): PublishedBackup['chain'] {
    log.warn(`${manifest.subvolume}: the last backup cannot be restored: ${problem}`);
    return { problem };
  }
}

/**
 * Refuses to continue the chain of another host: each would take the other's backups for its own.
 * @throws ToolError
 */
export function refuseStranger(
  context: StageContext,
  { manifestKey, manifest }: PublishedBackup,
  here: readonly LocalSnapshot[],
  filesystemUuid: string | undefined,
  published: PublishedFile | undefined,
  continued: ContinuedFile | undefined,
): void {
  const { bucket, hostName, hostId } = context;
  const { host, host_id, filesystem_uuid, snapshot } = manifest;
  const known = streamUuid(snapshot);
  const why = strangerTo({
    last: { manifestKey, hostName: host, hostId: host_id, filesystemUuid: filesystem_uuid },
    here: { hostName, hostId, filesystemUuid },
    hasSnapshot: here.some(
      ({ uuid, receivedUuid }) => uuid === snapshot.uuid || (known !== null && receivedUuid === known),
    ),
    published: isToContinue(continued, manifestKey) ? manifestKey : ofHere(context, published),
  });
  if (why === undefined) return;
  throw new ToolError(`the last backup of ${manifest.subvolume} under ${bucket.prefix}/ ${why}`, {
    hint: 'give each host its own S3_PREFIX, or take this one over with KIND=full, without IF_DUE',
  });
}

/** Whether a restore took this host over when a backup was the last one. */
function isToContinue(continued: ContinuedFile | undefined, manifestKey: string): boolean {
  return continued?.last_manifest_key === manifestKey;
}

function ofHere(context: StageContext, published: PublishedFile | undefined): string | undefined {
  return published && isHere(context, published) ? published.manifest_key : undefined;
}

/** Whether something here shows that a backup was made or restored here: its snapshot, or what RUN_DIR remembers. */
export function isRemembered(
  { manifestKey, manifest }: PublishedBackup,
  here: readonly LocalSnapshot[],
  published: PublishedFile | undefined,
  continued: ContinuedFile | undefined,
): boolean {
  const { uuid: own } = manifest.snapshot;
  const known = streamUuid(manifest.snapshot);
  return (
    published?.manifest_key === manifestKey ||
    isToContinue(continued, manifestKey) ||
    here.some(({ uuid, receivedUuid }) => uuid === own || (known !== null && receivedUuid === known))
  );
}

/**
 * Refuses to start a chain under another prefix only because the host's name has changed since the last backup, as early in
 * the boot or after DHCP.
 * @throws ToolError
 */
export function refuseMovedPrefix(
  context: StageContext,
  subvolume: string,
  pointer: FoundPointer,
  remembered: PublishedFile | ContinuedFile | undefined,
): void {
  const { bucket, settings, log } = context;
  if (pointer || !remembered || !isHere(context, remembered)) return;
  const before = remembered.manifest_key.split('/subvol/')[0];
  if (before === undefined || before === bucket.prefix) return;
  const moved = `the last backup of ${subvolume} from here is under ${before}/, and there is none under ${bucket.prefix}/`;
  if (settings.S3_PREFIX !== undefined) {
    log.warn(`${moved}: a new chain begins`);
    return;
  }
  throw new ToolError(`${moved}, which is the name of this host now`, {
    hint: `set S3_PREFIX=${before} to continue its backups, or start a new chain with KIND=full`,
  });
}

/**
 * Where the backups of this host are, by what RUN_DIR remembers: a prefix of this bucket other than the one in use; undefined when
 * it remembers none.
 */
export async function rememberedPrefix(context: StageContext): Promise<string | undefined> {
  const { bucket, settings } = context;
  const names = await readdir(settings.RUN_DIR).catch((): string[] => []);
  for (const name of names) {
    const published = await new RunDirectory(settings.RUN_DIR, name).readPublished();
    const before = published && isHere(context, published) && published.manifest_key.split('/subvol/')[0];
    if (before && before !== bucket.prefix) return before;
  }
  return undefined;
}

/** Whether what RUN_DIR remembers was published to this bucket; earlier versions did not write down which. */
function isHere(
  { bucket }: StageContext,
  { server, bucket: name }: Pick<PublishedFile, 'server' | 'bucket'>,
): boolean {
  return (name ?? bucket.name) === bucket.name && (server ?? bucket.server) === bucket.server;
}
