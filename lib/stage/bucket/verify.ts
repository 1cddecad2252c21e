/**
 * Proves what is in the bucket: every manifest of every chain, every chunk by size, ETag and S3's own checksum, and with
 * `deep` every byte. Nothing is changed.
 */
import pMap from 'p-map';
import { ToolError } from '../../core/errors.ts';
import {
  type Manifest,
  type ManifestChunk,
  type StoredManifest,
  streamUuid,
} from '../../core/format/manifest.ts';
import { parseKey, SubvolumeKeys } from '../../core/format/names.ts';
import { recordsLink } from '../../core/plan/chain.ts';
import { isWorthReading } from '../../core/plan/chunk-problem.ts';
import {
  judgeRestorability,
  type ReadManifest,
  type UnusableManifest,
} from '../../core/plan/restorability.ts';
import type { StreamHead } from '../../core/stream/stream-head.ts';
import { formatCount } from '../../core/units.ts';
import { ArchivedDocument } from '../../edge/s3/documents.ts';
import { heldBytesFor } from '../../transfer/back/fetching.ts';
import { expectedOfManifest, streamProblem } from '../../transfer/stream-check.ts';
import type { StageContext } from '../context.ts';
import { warnOfDownloadMemory } from '../memory-need.ts';
import { listEverything, nothingFound, REQUESTS_AT_ONCE, readManifest, readPointer } from './backups.ts';
import { findSealed, sealProblems } from './identity.ts';
import { type LookedAtChunk, lookAtChunks, rememberRead } from './look-at-chunks.ts';
import { lookForDeleted, readPublishedSince } from './meanwhile.ts';
import { readBackup } from './read-backup.ts';
import { demandSignatures, olderPointer } from './signatures.ts';

/** Something that is not as it should be; `object` is a key. */
export interface Finding {
  readonly object: string;
  readonly problem: string;
}

/** What was checked, and what was found. */
export interface VerifyOutcome {
  /** The subvolumes that were looked at, each with what it has of findings and of cold objects. */
  readonly subvolumes: readonly {
    readonly name: string;
    readonly findings: number;
    readonly cold: number;
  }[];
  readonly manifests: number;
  readonly chunks: number;
  readonly bytes: number;
  readonly deep: boolean;
  readonly findings: readonly Finding[];
  /** Backups whose link to their parent nothing records: manifests of earlier versions do not, and their streams were not read. */
  readonly unproven: number;
  /** Encrypted backups of which `deep` could check the stored bytes alone, because no identity that opens them is at hand. */
  readonly sealed: number;
  /** Keys of sound archived chunks that `deep` did not read because they are not thawed, and of archived manifests. */
  readonly cold: readonly string[];
}

/**
 * Verifies one subvolume's backups, or all under the prefix.
 * @throws ToolError when there is nothing to verify, or the bucket cannot be read.
 */
export async function verifyBackups(
  context: StageContext,
  subvolume: string | undefined,
  deep: boolean,
): Promise<VerifyOutcome> {
  const { bucket } = context;
  const { names, unfinished, keys: listed } = await listEverything(bucket, subvolume);
  for (const name of unfinished) {
    context.log.warn(
      `${name}: there are chunks, but neither a manifest nor a pointer: no backup of it is finished`,
    );
  }
  if (names.length === 0) {
    const what = subvolume ? `there is no backup of subvolume "${subvolume}"` : 'there is no backup';
    throw await nothingFound(bucket, what);
  }
  const findings: Finding[] = [];
  const trust = await demandSignatures(context);
  const manifests = new Map<string, Manifest>();
  const archived = new Map<string, UnusableManifest>();
  const unlessArchived = (key: string, check: () => Promise<void>, found = findings) =>
    collect(found, key, check).catch((error: unknown) => {
      if (!(error instanceof ArchivedDocument)) throw error;
      archived.set(error.key, { unusable: error.problem, isArchived: true });
    });
  const read = async (key: string, found?: Finding[]) => {
    const take = async () => void manifests.set(key, await readManifest(bucket, key, trust));
    await unlessArchived(key, take, found);
    return manifests.get(key);
  };
  await pMap(listed, ({ key }) => read(key), { concurrency: REQUESTS_AT_ONCE, signal: context.signal });
  const keys = listed.map(({ key }) => key);
  for (const name of names) {
    const object = new SubvolumeKeys(bucket.prefix, name).current;
    await unlessArchived(object, async () => {
      const named = (await readPointer(bucket, name))?.pointer.manifest_key;
      // Where that cannot be used, the pointer is what is wrong.
      const readSince = (key: string) => read(key, []);
      if (named !== undefined) keys.push(...(await readPublishedSince(named, new Set(keys), readSince)));
      const problem = pointerProblem(context, object, named, manifests, archived);
      if (problem !== undefined) findings.push({ object, problem });
    });
    if (!trust) continue;
    const problem = await olderPointer(bucket, name, manifests);
    if (problem !== undefined) findings.push({ object, problem });
  }
  const stored = keys.flatMap((key) => {
    const manifest = manifests.get(key);
    return manifest ? [{ key, manifest }] : [];
  });
  const sealed = deep ? await findSealed(context, stored) : new Set<string>();
  const { damaged, unreadable, doubtful } = await lookAtAllChunks(context, stored, findings, deep);
  if (!deep) {
    for (const [object, problem] of await sealProblems(context, stored)) {
      findings.push({ object, problem });
      damaged.add(object);
    }
  }
  const cold = [...archived.keys(), ...(deep ? unreadable : [])];
  const heads = new Map<string, StreamHead>();
  if (deep) {
    const skipped = new Set([...damaged, ...unreadable]);
    const allChunks = stored.flatMap(({ manifest }) => manifest.chunks);
    await warnOfDownloadMemory(context, 'this verify', heldBytesFor(allChunks));
    for (const backup of stored) {
      const reading = await readBackup(context, {
        backup,
        skipped,
        isSealed: sealed.has(backup.key),
        allChunks,
      });
      if (reading.head) heads.set(backup.key, reading.head);
      for (const finding of reading.problems) damaged.add(finding.object);
      findings.push(...reading.problems);
      cold.push(...reading.cold);
    }
    const unfit = streamFindings(stored, heads);
    for (const { object } of unfit) damaged.add(object);
    findings.push(...unfit);
    const unread = new Set([...damaged, ...cold]);
    const right = doubtful.filter(({ chunk }) => !unread.has(chunk.key));
    await rememberRead(context, right, damaged);
  }
  const isDeleted =
    findings.length > 0 ? await lookForDeleted(context, subvolume, keys) : (_key: string) => false;
  const left = stored.filter(({ key }) => !isDeleted(key));
  const judged = new Map<string, ReadManifest>(
    [...manifests, ...archived].filter(([key]) => !isDeleted(key)),
  );
  const problems = [
    ...findings.filter(({ object }) => !isDeleted(object)),
    ...chainFindings(judged, damaged),
  ];
  const unproven = left.filter(({ key, manifest }) => {
    const parent = manifests.get(manifest.parent_manifest ?? '');
    return (
      parent &&
      !recordsLink(manifest, parent) &&
      !(heads.has(key) && heads.has(manifest.parent_manifest ?? ''))
    );
  }).length;
  warnOfRepeatedUuids(context, left, manifests);
  const chunks = left.reduce((sum, { manifest }) => sum + manifest.chunks.length, 0);
  const bytes = left.reduce((sum, { manifest }) => sum + manifest.total_bytes, 0);
  const unread = cold.filter((key) => !isDeleted(key));
  const subvolumes = names.map((name) => {
    const isOwn = (key: string) => parseKey(bucket.prefix, key)?.subvolume === name;
    const own = problems.filter(({ object }) => isOwn(object));
    return { name, findings: own.length, cold: unread.filter(isOwn).length };
  });
  return {
    subvolumes,
    manifests: keys.filter((key) => !isDeleted(key)).length,
    chunks,
    bytes,
    deep,
    findings: problems,
    unproven,
    sealed: left.filter(({ key }) => sealed.has(key)).length,
    cold: unread,
  };
}

/** What the streams that were read say of themselves, held against their manifests and against each other. */
function streamFindings(
  stored: readonly StoredManifest[],
  heads: ReadonlyMap<string, StreamHead>,
): readonly Finding[] {
  return stored.flatMap(({ key, manifest }) => {
    const head = heads.get(key);
    const parent = heads.get(manifest.parent_manifest ?? '');
    const problem = head && streamProblem(head, expectedOfManifest(manifest, parent));
    return problem ? [{ object: key, problem: `cannot be restored: its stream ${problem}` }] : [];
  });
}

/** Those of one snapshot's lineage that earlier versions made of a subvolume with a received UUID. */
function warnOfRepeatedUuids(
  { log }: StageContext,
  stored: readonly StoredManifest[],
  manifests: ReadonlyMap<string, Manifest>,
): void {
  const repeating = stored.filter(({ manifest }) => {
    const parent = manifests.get(manifest.parent_manifest ?? '');
    const uuid = streamUuid(manifest.snapshot);
    return uuid !== null && parent && streamUuid(parent.snapshot) === uuid;
  });
  if (repeating.length === 0) return;
  log.warn(
    `${formatCount(repeating.length, 'backup')}, such as ${repeating[0]?.key}, and what they build on have one UUID: make restore tells them apart, but btrfs receive by hand does not; the next full backup ends this`,
  );
}

/** Backups that cannot be restored although nothing is wrong with themselves: something of their chain is. */
function chainFindings(
  manifests: ReadonlyMap<string, ReadManifest>,
  damagedObjects: ReadonlySet<string>,
): readonly Finding[] {
  const stateOf = ({ key }: ManifestChunk) =>
    damagedObjects.has(key) ? { lost: `chunk ${key} is damaged` } : {};
  const faultOf = (key: string) => (damagedObjects.has(key) ? 'its stream cannot be received' : undefined);
  return [...judgeRestorability(manifests, stateOf, faultOf)].flatMap(([object, verdict]) =>
    verdict.whyNot === undefined || verdict.isOwn || verdict.isArchived
      ? []
      : [{ object, problem: `cannot be restored: ${verdict.whyNot}` }],
  );
}

/**
 * @param named key of the manifest that the pointer names; undefined where there is none
 * @returns what is wrong with that
 */
function pointerProblem(
  { log }: StageContext,
  object: string,
  named: string | undefined,
  manifests: ReadonlyMap<string, Manifest>,
  archived: ReadonlyMap<string, unknown>,
): string | undefined {
  if (named === undefined) return 'is missing; AT= and MANIFEST= still restore';
  if (!manifests.has(named) && !archived.has(named)) return `names ${named}, which is missing or damaged`;
  const later = [...manifests].find(([, manifest]) => manifest.parent_manifest === named);
  if (!later) return undefined;
  log.warn(
    `${object} names ${named}, but ${later[0]} builds on that: a backup is being published, or the pointer is an old one; AT= and MANIFEST= restore the later one`,
  );
  return undefined;
}

/**
 * Looks at every chunk; gives the keys of those that are not what the manifest says, and of those that are cold. What only looks
 * like another object is no finding where its bytes will be read.
 */
async function lookAtAllChunks(
  context: StageContext,
  stored: readonly StoredManifest[],
  findings: Finding[],
  willRead: boolean,
): Promise<{
  readonly damaged: Set<string>;
  readonly unreadable: string[];
  readonly doubtful: readonly LookedAtChunk[];
}> {
  const looked = await lookAtChunks(
    context,
    stored.flatMap(({ manifest }) => manifest.chunks),
  );
  // A server of other kinds than AWS may keep the name of an archive class and still give the bytes.
  const isCold = (head: LookedAtChunk['head']) =>
    context.bucket.isAws && (head?.thaw.kind === 'cold' || head?.thaw.kind === 'thawing');
  const found = looked.flatMap(({ chunk, head, problem }) =>
    problem && !(willRead && isWorthReading(chunk, head) && !isCold(head))
      ? [{ object: chunk.key, problem }]
      : [],
  );
  // There may be more of them than a call can have arguments.
  for (const finding of found) findings.push(finding);
  return {
    damaged: new Set(found.map(({ object }) => object)),
    unreadable: looked.flatMap(({ chunk, head, problem }) => (!problem && isCold(head) ? [chunk.key] : [])),
    doubtful: looked.filter(({ problem }) => problem !== undefined),
  };
}

/** Turns damage into a finding; anything else is a failure of the check itself. */
async function collect(findings: Finding[], object: string, check: () => Promise<unknown>): Promise<void> {
  try {
    await check();
  } catch (error) {
    if (!(error instanceof ToolError) || error.kind !== 'damage') throw error;
    findings.push({ object, problem: error.problem });
  }
}
