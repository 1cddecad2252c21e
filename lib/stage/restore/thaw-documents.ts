/**
 * Manifests and pointers that lie in an archive, where this tool never stores them. They are small, and all of a subvolume are
 * requested together: what a manifest builds on is known only when it was read.
 */
import { describeError, ToolError } from '../../core/errors.ts';
import type { StoredManifest } from '../../core/format/manifest.ts';
import { parseKey } from '../../core/format/names.ts';
import { DAY_MS } from '../../core/units.ts';
import { ArchivedDocument } from '../../edge/s3/documents.ts';
import { listObjects } from '../../edge/s3/objects.ts';
import type { ThawTerms } from '../../edge/s3/thaw-requests.ts';
import { rootOf, type Selection } from '../bucket/backups.ts';
import { resolveTrustedChain } from '../bucket/signatures.ts';
import type { StageContext } from '../context.ts';
import { thawAndWait } from './thaw.ts';

/** How a thaw is asked for. */
export interface DocumentThaw {
  readonly terms: Partial<ThawTerms>;
  /** False requests what is needed, and ends at once. */
  readonly mayWait: boolean;
}

/**
 * Finds the backup that is meant and follows its chain, as `resolveTrustedChain` does; archived manifests are thawed for that.
 * @throws ToolError (thaw) when they cannot be read yet.
 */
export async function resolveThawedChain(
  context: StageContext,
  subvolume: string,
  selection: Selection,
  thaw: DocumentThaw,
): Promise<readonly StoredManifest[]> {
  const resolve = () => resolveTrustedChain(context, subvolume, selection);
  try {
    return await resolve();
  } catch (error) {
    if (!(error instanceof ArchivedDocument)) throw error;
    context.log.warn(error.message);
    await thawDocuments(context, subvolume, error, thaw);
    return await resolve();
  }
}

/**
 * Does something that reads documents of a subvolume. Where one is archived, the thaw of all that are is requested.
 * @throws what it throws; ToolError (thaw) that says that they are requested.
 */
export async function requestingThaws<Result>(
  context: StageContext,
  subvolume: string,
  isDryRun: boolean,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (isDryRun || !(error instanceof ArchivedDocument)) throw error;
    context.log.warn(`${subvolume}: ${error.message}`);
    await thawDocuments(context, subvolume, error, { terms: {}, mayWait: false }).catch((second: unknown) => {
      if (second instanceof ToolError && second.kind === 'thaw') throw second;
      // Who makes backups may not request thaws (config/iam): then the first error says what to do.
      context.signal.throwIfAborted();
      context.log.warn(describeError(second));
    });
    throw error;
  }
}

async function thawDocuments(
  context: StageContext,
  subvolume: string,
  { key: first }: ArchivedDocument,
  { terms, mayWait }: DocumentThaw,
): Promise<void> {
  const { bucket, settings } = context;
  const documents = (await listObjects(bucket, rootOf(bucket, subvolume))).filter(({ key }) => {
    const type = parseKey(bucket.prefix, key)?.type;
    return type === 'manifest' || type === 'signature' || type === 'current';
  });
  const request = {
    subvolume,
    manifestKey: first,
    noun: 'document',
    chunks: documents.map(({ key, sizeBytes: size }) => ({ key, size, sha256: '' })),
    terms: { tier: terms.tier ?? settings.RESTORE_TIER, days: terms.days ?? settings.RESTORE_DAYS },
    neededMs: DAY_MS,
  };
  await thawAndWait(context, request, mayWait);
}
