/**
 * Proves what is in the bucket: every manifest of every chain, every chunk by size, ETag and S3's own checksum, and with
 * `deep` every byte. Nothing is changed.
 */
import pMap from 'p-map';
import { linkProblem } from '../core/chain.ts';
import { ToolError } from '../core/errors.ts';
import type { Manifest, StoredManifest } from '../core/manifest.ts';
import { chunkProblem } from '../core/verdict.ts';
import { headObject } from '../edge/documents.ts';
import { listManifests, nothingFound, readManifest, readPointer } from './backups.ts';
import type { StageContext } from './context.ts';
import { fetchStream, largestPartOf } from './fetch-stream.ts';
import { REQUESTS_AT_ONCE } from './list.ts';

/** Something that is not as it should be; `object` is a key. */
export interface Finding {
  readonly object: string;
  readonly problem: string;
}

/** What was checked, and what was found. */
export interface VerifyOutcome {
  readonly manifests: number;
  readonly chunks: number;
  readonly bytes: number;
  readonly deep: boolean;
  readonly findings: readonly Finding[];
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
  const keys = await listManifests(bucket, subvolume);
  if (keys.length === 0) {
    throw await nothingFound(
      bucket,
      subvolume ? `there is no backup of subvolume "${subvolume}"` : 'there is no backup',
    );
  }
  const findings: Finding[] = [];
  const manifests = new Map<string, Manifest>();
  await pMap(
    keys,
    async ({ key }) => {
      await collect(findings, key, async () => void manifests.set(key, await readManifest(bucket, key)));
    },
    { concurrency: REQUESTS_AT_ONCE, signal: context.signal },
  );
  const stored = keys.flatMap(({ key }) => {
    const manifest = manifests.get(key);
    return manifest ? [{ key, manifest }] : [];
  });
  findings.push(...chainFindings(stored, manifests));
  const names = [...new Set(keys.map((key) => key.subvolume))];
  for (const name of names) await checkPointer(context, name, manifests, findings);
  const chunks = await checkChunks(context, stored, findings);
  if (deep) {
    const largestPartBytes = largestPartOf(stored.map(({ manifest }) => manifest));
    for (const { manifest } of stored) await readEverything(context, manifest, largestPartBytes, findings);
  }
  const bytes = stored.reduce((sum, { manifest }) => sum + manifest.total_bytes, 0);
  return { manifests: keys.length, chunks, bytes, deep, findings };
}

/** Every parent must be there and fit; a chain that leads to a broken one is named with it. */
function chainFindings(
  stored: readonly StoredManifest[],
  manifests: ReadonlyMap<string, Manifest>,
): Finding[] {
  return stored.flatMap((child) => {
    const parentKey = child.manifest.parent_manifest;
    if (parentKey === null) return [];
    const manifest = manifests.get(parentKey);
    if (!manifest)
      return [
        { object: child.key, problem: `cannot be restored: its parent ${parentKey} is missing or damaged` },
      ];
    const problem = linkProblem(child, { key: parentKey, manifest });
    return problem ? [{ object: child.key, problem: `cannot be restored: ${problem}` }] : [];
  });
}

async function checkPointer(
  { bucket }: StageContext,
  subvolume: string,
  manifests: ReadonlyMap<string, Manifest>,
  findings: Finding[],
): Promise<void> {
  const object = `${bucket.prefix}/subvol/${subvolume}/current.json`;
  await collect(findings, object, async () => {
    const read = await readPointer(bucket, subvolume);
    if (!read) findings.push({ object, problem: 'is missing; AT= and MANIFEST= still restore' });
    else if (!manifests.has(read.pointer.manifest_key)) {
      findings.push({ object, problem: `names ${read.pointer.manifest_key}, which is missing or damaged` });
    }
  });
}

async function checkChunks(
  { bucket, signal }: StageContext,
  stored: readonly StoredManifest[],
  findings: Finding[],
): Promise<number> {
  const chunks = stored.flatMap(({ manifest }) => manifest.chunks);
  const found = await pMap(
    chunks,
    async (chunk) => ({
      object: chunk.key,
      problem: chunkProblem(chunk, await headObject(bucket, chunk.key)),
    }),
    { concurrency: REQUESTS_AT_ONCE, signal },
  );
  for (const { object, problem } of found) if (problem) findings.push({ object, problem });
  return chunks.length;
}

/** Reads every byte of a backup, chunk by chunk, so that one damaged chunk does not hide another. */
async function readEverything(
  context: StageContext,
  manifest: Manifest,
  largestPartBytes: number,
  findings: Finding[],
): Promise<void> {
  const progress = context.startProgress(`read ${manifest.subvolume} ${manifest.created_at}`);
  progress.expect(manifest.total_bytes);
  try {
    for (const chunk of manifest.chunks) {
      const { stream: _, ...rest } = manifest;
      const alone = { ...rest, chunks: [chunk], total_bytes: chunk.size };
      await collect(findings, chunk.key, () =>
        fetchStream(context, alone, async () => undefined, progress, largestPartBytes),
      );
    }
  } finally {
    progress.stop();
  }
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
