/**
 * What happens to a bucket while it is looked at, which may take days: a backup is published, a prune deletes old ones. Neither is damage. What is
 * published is whole from its manifest on, and a manifest goes before its chunks, so that a second look at the keys tells them from damage.
 */
import pMap from 'p-map';
import { describeError } from '../../core/errors.ts';
import type { Manifest } from '../../core/format/manifest.ts';
import { manifestKeyOf, parseKey } from '../../core/format/names.ts';
import { formatCount } from '../../core/units.ts';
import { headObject, type ListedObject, listObjects } from '../../edge/s3/objects.ts';
import type { Bucket } from '../../edge/s3/s3-client.ts';
import type { StageContext } from '../context.ts';
import { listManifests, REQUESTS_AT_ONCE, rootOf } from './backups.ts';

/**
 * Reads a backup that was published since the listing, and those of its ancestors that were too.
 * @param listed keys of the manifests that the listing had
 * @param read gives undefined for one that cannot be used, which is where it ends
 * @returns the keys of those that were read
 */
export async function readPublishedSince(
  newest: string,
  listed: ReadonlySet<string>,
  read: (key: string) => Promise<Manifest | undefined>,
): Promise<readonly string[]> {
  const since: string[] = [];
  for (let key: string | null = newest; key !== null && !listed.has(key) && !since.includes(key); ) {
    const manifest: Manifest | undefined = await read(key);
    if (!manifest) break;
    since.push(key);
    key = manifest.parent_manifest;
  }
  return since;
}

/**
 * Decides of a key whether its backup was deleted, by a look at the manifests that are there now; says so where some were. Where that look fails,
 * nothing counts as deleted: what was found, perhaps by reading for days, must not be lost.
 * @param before keys of the manifests that were there
 */
export async function lookForDeleted(
  { bucket, log, signal }: Pick<StageContext, 'bucket' | 'log' | 'signal'>,
  subvolume: string | undefined,
  before: readonly string[],
): Promise<(key: string) => boolean> {
  const looked = await lookAgain(bucket, subvolume, before).catch((error: unknown) => {
    signal.throwIfAborted();
    log.warn(`whether backups were deleted meanwhile is not known: ${describeError(error)}`);
    return undefined;
  });
  if (!looked) return () => false;
  const { gone, names } = looked;
  const [first] = gone;
  if (first !== undefined) {
    log.warn(
      `${formatCount(gone.size, 'backup')}, such as ${first}, ${gone.size === 1 ? 'was' : 'were'} deleted meanwhile, as make prune does it: the rest was verified`,
    );
  }
  return (key) => {
    const known = parseKey(bucket.prefix, key);
    // Of a subvolume that was retired the pointer goes first.
    if (known?.type === 'current') return gone.size > 0 && !names.has(known.subvolume);
    return gone.has(manifestKeyOf(bucket.prefix, key) ?? '');
  };
}

/** The keys whose manifests are gone, and the names of subvolumes that have some. A server may list late what is there. */
async function lookAgain(bucket: Bucket, subvolume: string | undefined, before: readonly string[]) {
  const now = await listManifests(bucket, subvolume);
  const still = new Set(now.map(({ key }) => key));
  const unlisted = before.filter((key) => !still.has(key));
  const heads = await pMap(unlisted, (key) => headObject(bucket, key), { concurrency: REQUESTS_AT_ONCE });
  const gone = new Set(unlisted.filter((_, index) => heads[index] === undefined));
  const left = [...still, ...unlisted.filter((key) => !gone.has(key))];
  return { gone, names: new Set(left.map((key) => parseKey(bucket.prefix, key)?.subvolume)) };
}

/**
 * A listing that has what pointers name, which were read after it: subvolumes of which a backup was published between the two are listed again.
 * @param named keys of manifests
 */
export async function listedWith<Listed extends { readonly key: string }>(
  bucket: Bucket,
  listed: readonly Listed[],
  named: readonly string[],
): Promise<readonly (Listed | ListedObject)[]> {
  const nameOf = (key: string) => parseKey(bucket.prefix, key)?.subvolume ?? '';
  const [keys, names] = [
    new Set(listed.map(({ key }) => key)),
    new Set(listed.map(({ key }) => nameOf(key))),
  ];
  const missing = named.filter((key) => !keys.has(key)).map(nameOf);
  const late = new Set(missing.filter((name) => name !== '' && names.has(name)));
  if (late.size === 0) return listed;
  const again = await Promise.all([...late].map((name) => listObjects(bucket, rootOf(bucket, name))));
  return [...listed.filter(({ key }) => !late.has(nameOf(key))), ...again.flat()];
}
