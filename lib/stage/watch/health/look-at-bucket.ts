/** How the backups of each subvolume are, from the bucket alone: one listing, the manifests, and the records of drills. */
import { ToolError } from '../../../core/errors.ts';
import { parseKey, parseTimestamp } from '../../../core/format/names.ts';
import { groupBy } from '../../../core/group-by.ts';
import { storageCost } from '../../../core/prices/costs.ts';
import type { SubvolumeHealth } from '../../../core/watch/health.ts';
import { nextDue } from '../../../core/watch/next-due.ts';
import { readPrices } from '../../../edge/files/price-files.ts';
import { type ListedObject, listObjects } from '../../../edge/s3/objects.ts';
import { rootOf } from '../../bucket/backups.ts';
import { backupsAmong, type ListedBackup } from '../../bucket/list.ts';
import type { StageContext } from '../../context.ts';
import { earlierDrills } from '../drill/records.ts';

/** Looks at every subvolume that the bucket knows. @throws ToolError when it cannot be listed or read */
export async function lookAtBucket(context: StageContext): Promise<ReadonlyMap<string, SubvolumeHealth>> {
  const { bucket } = context;
  const prices = await readPrices(context.settings.PRICES, bucket);
  const listed = await listObjects(bucket, rootOf(bucket, undefined));
  const backups = await backupsAmong(context, listed);
  const byName = groupBy(listed, ({ key }) => parseKey(bucket.prefix, key)?.subvolume);
  const found = new Map<string, SubvolumeHealth>();
  for (const [name, objects] of byName) {
    if (name === undefined) continue;
    const own = backups.filter(({ subvolume }) => subvolume === name);
    const dollars_per_month = storageCost(storedBytes(objects), prices) ?? null;
    const health = healthOf(context, own, objects);
    found.set(name, {
      ...health,
      due: isBackedUp(context, name) ? health.due : null,
      dollars_per_month,
      ...(await lastDrills(context, name)),
    });
  }
  return found;
}

/** Of what SUBVOLUMES does not name any more no backup is due. A host that backs nothing up watches all. */
function isBackedUp({ settings: { SUBVOLUMES } }: StageContext, name: string): boolean {
  return SUBVOLUMES === undefined || SUBVOLUMES.some((selected) => selected.name === name);
}

function healthOf(
  { settings, now }: StageContext,
  backups: readonly ListedBackup[],
  objects: readonly ListedObject[],
): Omit<SubvolumeHealth, keyof DrillFacts | 'dollars_per_month'> {
  const looked_at = now().toISOString();
  const storedFacts = { looked_at, stored_bytes: storedBytes(objects) };
  const newest = backups.find(({ current }) => current);
  if (!newest) {
    const why_not = backups.length === 0 ? null : 'current.json is missing, or names no backup that is here';
    return { ...storedFacts, newest: null, chain: null, why_not, due: null };
  }
  const chain = chainOf(newest, backups);
  const { restorability } = newest;
  const isBroken = 'whyNot' in restorability && !restorability.isArchived;
  const full = chain?.[0];
  const { kind, atMs } = nextDue(
    {
      newestMs: millisecondsOf(newest.created_at),
      fullMs: full && !isBroken ? millisecondsOf(full.created_at) : undefined,
    },
    { fullEverySeconds: settings.FULL_EVERY, incrementalEverySeconds: settings.INCREMENTAL_EVERY },
  );
  const { created_at, bytes, manifest_key } = newest;
  return {
    ...storedFacts,
    newest: { kind: newest.kind, created_at, bytes, manifest_key },
    chain:
      chain && full
        ? {
            backups: chain.length,
            bytes: chain.reduce((sum, each) => sum + each.bytes, 0),
            full_at: full.created_at,
          }
        : null,
    why_not: isBroken ? restorability.whyNot : null,
    due: { kind, at: new Date(atMs).toISOString() },
  };
}

/** The chain of a backup, the full one first; undefined where it has no beginning. */
export function chainOf(
  newest: ListedBackup,
  backups: readonly ListedBackup[],
): readonly ListedBackup[] | undefined {
  const byKey = new Map(backups.map((backup) => [backup.manifest_key, backup]));
  const chain: ListedBackup[] = [];
  for (let at: ListedBackup | undefined = newest; at; at = byKey.get(at.parent_manifest ?? '')) {
    if (chain.includes(at) || at.problem !== undefined) return undefined;
    chain.unshift(at);
  }
  return chain[0]?.parent_manifest === null ? chain : undefined;
}

function storedBytes(objects: readonly ListedObject[]): Record<string, number> {
  const bytes: Record<string, number> = {};
  for (const { storageClass, sizeBytes } of objects) {
    bytes[storageClass] = (bytes[storageClass] ?? 0) + sizeBytes;
  }
  return bytes;
}

type DrillFacts = Pick<SubvolumeHealth, 'drill' | 'drills_failed'>;

/** Credentials for backups alone may not be allowed to read what drills have found: then nothing is known of them. */
async function lastDrills(context: StageContext, subvolume: string): Promise<DrillFacts> {
  try {
    const { last, failed } = await earlierDrills(context, subvolume);
    const [newest] = failed;
    return {
      drill: last
        ? { at: last.started_at, created_at: last.created_at, is_sound: last.result === 'sound' }
        : null,
      drills_failed: newest ? { count: failed.length, at: newest.started_at, problem: newest.problem } : null,
    };
  } catch (error) {
    context.signal.throwIfAborted();
    if (!(error instanceof ToolError)) throw error;
    context.log.debug(`the drills of ${subvolume} cannot be read: ${error.message}`);
    return { drill: null, drills_failed: null };
  }
}

/** Of a timestamp that a schema has found to be one. */
function millisecondsOf(timestamp: string): number {
  return parseTimestamp(timestamp)?.getTime() ?? Number.NaN;
}
