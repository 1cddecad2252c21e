/** The last backup of a subvolume, as the next one needs to know it: whose it is, and whether it can be restored. */
import { readdir } from 'node:fs/promises';
import { describeError, ToolError } from '../../core/errors.ts';
import { type Manifest, type ManifestChunk, streamUuid } from '../../core/format/manifest.ts';
import { parseKey, signatureKeyOf } from '../../core/format/names.ts';
import type { ContinuedFile, PublishedFile } from '../../core/format/run-files.ts';
import type { LastBackup, LocalSnapshot, PublishedBackup } from '../../core/plan/backup/backup-plan.ts';
import { strangerTo } from '../../core/plan/backup/chain-owner.ts';
import { followChain } from '../../core/plan/chain.ts';
import { chunkState, judgeRestorability, type ReadManifest } from '../../core/plan/restorability.ts';
import { formatCount } from '../../core/units.ts';
import { RunDirectory } from '../../edge/files/run-directory.ts';
import { ArchivedDocument } from '../../edge/s3/documents.ts';
import { listObjects } from '../../edge/s3/objects.ts';
import { type FoundPointer, listManifests, readManifest, rootOf, withoutParts } from '../bucket/backups.ts';
import { lookAtChunks } from '../bucket/look-at-chunks.ts';
import { demandSignatures, SignatureProblem } from '../bucket/signatures.ts';
import type { StageContext } from '../context.ts';

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
    const manifest = await readManifest(context.bucket, manifestKey, await demandSignatures(context));
    const last = { manifestKey, manifest, chain: await lookAtChain(context, manifestKey, manifest) };
    warnOfLess(context, subvolume, last);
    return last;
  } catch (error) {
    if (!(error instanceof ToolError) || error.kind !== 'damage') throw error;
    context.log.warn(`${subvolume}: the last backup cannot be built on: ${describeError(error)}`);
    return { unreadable: `the last backup in the bucket is ${whyUnusable(error)}` };
  }
}

/** Of a manifest that was refused as damage: what is wrong with it, for the reason of a plan. */
export function whyUnusable(error: ToolError): string {
  return error instanceof SignatureProblem ? 'not signed as VERIFY_SIGNERS demands' : 'damaged or missing';
}

/** A line that fell out of the settings must not go unnoticed: the bucket sees what it did not see, or a restore refuses the backup. */
function warnOfLess(
  { settings: { ENCRYPT_TO, SIGN_WITH }, log }: StageContext,
  subvolume: string,
  { manifest: { codec }, chain }: PublishedBackup,
): void {
  if (codec?.encrypt === 'age' && ENCRYPT_TO.length === 0) {
    log.warn(
      `${subvolume}: the last backup is encrypted, and the next one will not be, because ENCRYPT_TO is not set`,
    );
  }
  if ('isSigned' in chain && chain.isSigned && SIGN_WITH === '') {
    log.warn(
      `${subvolume}: the last backup is signed, and the next one will not be, because SIGN_WITH is not set: where VERIFY_SIGNERS is set, it cannot be restored`,
    );
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
 * The same for a backup whose manifest is still to be read. Where that is archived, nothing can be said against it.
 * @returns why the backup cannot be restored, or how many backups its chain has; undefined where archived manifests hide that.
 */
export async function lookAtBackup(
  context: StageContext,
  manifestKey: string,
): Promise<{ readonly problem: string } | { readonly chainLength: number | undefined }> {
  try {
    const manifest = await readManifest(context.bucket, manifestKey, await demandSignatures(context));
    const chain = await lookAtChain(context, manifestKey, manifest);
    if ('problem' in chain) return chain;
    return { chainLength: chain.isPartial ? undefined : chain.members.length };
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    if (error.kind === 'damage') return { problem: error.message };
    if (!(error instanceof ArchivedDocument)) throw error;
    context.log.warn(`the chain of ${manifestKey} cannot be checked now: ${describeError(error)}`);
    return { chainLength: undefined };
  }
}

/**
 * Makes the checks of a restore that need no bytes: the links of a chain, and whether the bucket has every chunk in its size. One
 * listing, and a small object for each backup of the chain. A chain that fails them is reported. So is one with an archived manifest,
 * which is checked as far as it can be: that it needs a thaw before a restore is no reason for a full backup.
 * @param what the backup is called in warnings
 */
export async function lookAtChain(
  context: StageContext,
  manifestKey: string,
  manifest: Manifest,
  what = 'the last backup',
): Promise<PublishedBackup['chain']> {
  const { bucket, log } = context;
  const trust = await demandSignatures(context);
  const manifests = new Map<string, ReadManifest>([[manifestKey, withoutParts(manifest)]]);
  const load = async (key: string) => {
    const read = withoutParts(await readManifest(bucket, key, trust));
    manifests.set(key, read);
    return read;
  };
  try {
    let full: Pick<Manifest, 'created_at'> | undefined;
    let isPartial = false;
    try {
      [full] = (await followChain({ key: manifestKey, manifest }, load)).map((stored) => stored.manifest);
    } catch (error) {
      if (!(error instanceof ArchivedDocument)) throw error;
      isPartial = true;
      manifests.set(error.key, { unusable: error.problem, isArchived: true });
      const { hint } = error;
      log.warn(`${manifest.subvolume}: ${what} builds on ${error.key}, which ${error.problem}; ${hint}`);
    }
    const listed = await listObjects(bucket, rootOf(bucket, manifest.subvolume));
    const objects = new Map(listed.map((object) => [object.key, { ...object, sha256: undefined }]));
    const stateOf = (chunk: ManifestChunk) => chunkState(chunk, objects.get(chunk.key));
    const verdict = judgeRestorability(manifests, stateOf).get(manifestKey);
    if (!verdict) throw new Error('what is judged has a verdict');
    if (verdict.whyNot !== undefined && !verdict.isArchived) return unrestorable(verdict.cause);
    // Read from the newest to the oldest.
    const members = [...manifests]
      .flatMap(([key, each]) => ('unusable' in each ? [] : [{ key, manifest: each }]))
      .reverse();
    // A listing may have other ETags than HEAD, by which the backup was published.
    const chunks = members.flatMap((member) => member.manifest.chunks);
    const doubtful = chunks.filter((chunk) => stateOf(chunk).doubt !== undefined);
    const odd = (await lookAtChunks(context, doubtful)).find(({ problem }) => problem !== undefined);
    const doubt = odd && `chunk ${odd.chunk.key} ${odd.problem}`;
    if (doubt !== undefined) {
      log.warn(
        `${manifest.subvolume}: the chain may not be restorable: ${doubt}; make verify DEEP=1 settles it; if its bytes are right, KIND=incremental continues it`,
      );
    }
    const unsigned = members.find((member) => !objects.has(signatureKeyOf(member.key)));
    if (context.settings.SIGN_WITH !== '' && unsigned) {
      log.warn(
        `${manifest.subvolume}: the chain cannot be restored where VERIFY_SIGNERS is set, because ${unsigned.key} is not signed; KIND=full begins a signed one`,
      );
    }
    const streamUuids = members.flatMap(({ manifest: { snapshot } }) => streamUuid(snapshot) ?? []);
    full ??= { created_at: fullBefore(bucket.prefix, [...objects.keys()], manifest.created_at) };
    const isSigned = objects.has(signatureKeyOf(manifestKey));
    return { full, streamUuids, members, isPartial, doubt, isSigned };
  } catch (error) {
    if (!(error instanceof ToolError) || error.kind !== 'damage') throw error;
    return unrestorable(describeError(error));
  }

  function unrestorable(problem: string): PublishedBackup['chain'] {
    log.warn(`${manifest.subvolume}: ${what} cannot be restored: ${problem}`);
    return { problem };
  }
}

/** The time of the newest full backup that is not later than a time, by the keys; that time where there is none. */
function fullBefore(prefix: string, keys: readonly string[], created_at: string): string {
  const times = keys.flatMap((key) => {
    const parsed = parseKey(prefix, key);
    return parsed?.type === 'manifest' && parsed.kind === 'full' ? [parsed.timestamp] : [];
  });
  return (
    times
      .filter((time) => time <= created_at)
      .sort()
      .at(-1) ?? created_at
  );
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
  if (pointer || !remembered) return;
  if (!isHere(context, remembered)) {
    const there = `bucket ${remembered.bucket ?? bucket.name} (${remembered.server ?? bucket.server})`;
    log.warn(
      `the last backup of ${subvolume} from here is in ${there}, and there is none in ${bucket.name}: a new chain begins`,
    );
    return;
  }
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
