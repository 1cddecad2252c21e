/** Reading backups out of the bucket: pointers, manifests, chains. The bucket is the truth; nothing local is asked. */

import { ToolError } from '../../core/errors.ts';
import {
  MAX_MANIFEST_BYTES,
  type Manifest,
  type Pointer,
  parseManifest,
  parsePointer,
  type StoredManifest,
} from '../../core/format/manifest.ts';
import {
  hostPrefixes,
  parseKey,
  parsePointInTime,
  readableTimestamp,
  SubvolumeKeys,
  subvolumesRoot,
} from '../../core/format/names.ts';
import { followChain, newestNotLater } from '../../core/plan/chain.ts';
import type { ReadManifest } from '../../core/plan/restorability.ts';
import { ArchivedDocument, readDocument } from '../../edge/s3/documents.ts';
import { headObject, listKeys } from '../../edge/s3/objects.ts';
import type { Bucket } from '../../edge/s3/s3-client.ts';
import { glimpsePrefixes } from './hosts.ts';

const maxPointerBytes = 65_536;

/** How many small requests run at once. */
export const REQUESTS_AT_ONCE = 16;

/** A subvolume's pointer and the ETag under which it was read. */
export interface ReadPointer {
  readonly pointer: Pointer;
  readonly etag: string;
}

/**
 * Reads `current.json`; undefined when nothing was published yet.
 * @throws ToolError (damage) when it is not a pointer.
 */
export async function readPointer(bucket: Bucket, subvolume: string): Promise<ReadPointer | undefined> {
  const found = await findPointer(bucket, subvolume);
  if (found && 'damage' in found) throw found.damage;
  return found;
}

/** What `current.json` says, or what is wrong with it; undefined when there is none. */
export type FoundPointer = ReadPointer | { readonly damage: ToolError; readonly etag: string } | undefined;

/** Reads `current.json` as far as that is possible: a damaged one still has an ETag, under which it can be replaced. */
export async function findPointer(bucket: Bucket, subvolume: string): Promise<FoundPointer> {
  const key = new SubvolumeKeys(bucket.prefix, subvolume).current;
  let etag: string | undefined;
  try {
    const document = await readDocument(bucket, key, maxPointerBytes);
    if (!document) return undefined;
    etag = document.etag;
    return { pointer: parsePointer(document.text, key), etag };
  } catch (error) {
    if (!(error instanceof ToolError) || error.kind !== 'damage') throw error;
    // What could not even be read has an ETag as well.
    etag ??= (await headObject(bucket, key))?.etag;
    if (etag === undefined) throw error;
    return { damage: error, etag };
  }
}

/** What more is demanded of a manifest than that it is valid, by its key and its text. @throws ToolError (damage) when it is not met */
export type Trust = (key: string, text: string) => Promise<void>;

/**
 * Reads the manifest at a key.
 * @throws ToolError (damage) when it is missing or not valid; what `trust` throws.
 */
export async function readManifest(bucket: Bucket, key: string, trust?: Trust): Promise<Manifest> {
  if (parseKey(bucket.prefix, key)?.type !== 'manifest') {
    throw new ToolError(`${key} is not the key of a manifest under ${bucket.prefix}/`, {
      kind: 'usage',
      hint: hintAtKey(bucket, key),
    });
  }
  const document = await readDocument(bucket, key, MAX_MANIFEST_BYTES);
  if (document) {
    await trust?.(key, document.text);
    return parseManifest(document.text, key, bucket.prefix);
  }
  throw new ToolError(`manifest ${key} is not in bucket ${bucket.name}`, {
    kind: 'damage',
    hint: 'make verify shows what else is affected',
  });
}

/** Which backup of a subvolume is meant: the published one, the newest not later than a time, or one by key. */
export type Selection = { readonly at?: string | undefined; readonly manifest?: string | undefined };

/**
 * Finds the backup that is meant and follows its chain to the full one, which comes first.
 * @throws ToolError when there is none, or the chain is broken.
 */
export async function resolveChain(
  bucket: Bucket,
  subvolume: string,
  selection: Selection,
  trust?: Trust,
): Promise<readonly StoredManifest[]> {
  const key = await selectManifest(bucket, subvolume, selection);
  if (parseKey(bucket.prefix, key)?.subvolume !== subvolume) {
    throw new ToolError(`${key} is not a manifest of subvolume "${subvolume}" under ${bucket.prefix}/`, {
      kind: selection.manifest ? 'usage' : 'damage',
      hint: hintAtKey(bucket, key),
    });
  }
  const manifest = await readManifest(bucket, key, trust);
  return followChain({ key, manifest }, (parentKey) => readManifest(bucket, parentKey, trust));
}

/** What to do about a key that is not where it was looked for: it may be another host's. */
function hintAtKey(bucket: Bucket, key: string): string {
  const [other] = hostPrefixes('', [key]);
  const isElsewhere = other !== undefined && other !== bucket.prefix;
  return isElsewhere ? `set S3_PREFIX=${other}` : 'make list WIDE=1 shows the keys of its backups';
}

/**
 * The key of the manifest of the backup that is meant.
 * @throws ToolError when there is none
 */
export async function selectManifest(
  bucket: Bucket,
  subvolume: string,
  { at, manifest }: Selection,
): Promise<string> {
  if (manifest !== undefined) return manifest;
  if (at === undefined) {
    const current = await readPointer(bucket, subvolume);
    if (current) return current.pointer.manifest_key;
    const newest = (await listManifests(bucket, subvolume)).at(-1);
    if (newest) {
      throw new ToolError(
        `${new SubvolumeKeys(bucket.prefix, subvolume).current} is missing, although there are backups`,
        { kind: 'damage', hint: `choose one of make list with AT= or MANIFEST=, such as ${newest.key}` },
      );
    }
    throw await nothingFound(bucket, `there is no backup of subvolume "${subvolume}"`);
  }
  const moment = momentOf(at);
  const all = await listManifests(bucket, subvolume);
  const found = newestNotLater(all, moment);
  if (found) return found.key;
  const [oldest] = all;
  if (!oldest) throw await nothingFound(bucket, `there is no backup of subvolume "${subvolume}"`);
  throw new ToolError(`no backup of subvolume "${subvolume}" is as old as AT=${at}`, {
    kind: 'usage',
    hint: `the oldest is AT=${readableTimestamp(oldest.timestamp)}; make list shows all`,
  });
}

/** The moment that AT= names. @throws ToolError (usage) when it names none */
export function momentOf(at: string): Date {
  const moment = parsePointInTime(at);
  if (moment) return moment;
  throw new ToolError(`AT="${at}" is not a time`, {
    kind: 'usage',
    hint: 'write 2026-11-24, 2026-11-24T18:30 (UTC) or a timestamp as in make list',
  });
}

/** A manifest's key with what it says. */
export interface ManifestKey {
  readonly key: string;
  readonly subvolume: string;
  readonly kind: 'full' | 'incremental';
  readonly timestamp: string;
}

/** The keys of all manifests, oldest first; of one subvolume or of all. */
export async function listManifests(bucket: Bucket, subvolume?: string): Promise<readonly ManifestKey[]> {
  return (await listEverything(bucket, subvolume)).keys;
}

/** What there is of one subvolume or of all. */
export interface Everything {
  /** Subvolumes with a pointer or a manifest: something was published. */
  readonly names: readonly string[];
  /** Subvolumes of which there are only chunks: a first backup that is under way, or was interrupted. */
  readonly unfinished: readonly string[];
  /** Oldest first. */
  readonly keys: readonly ManifestKey[];
}

/** A manifest without parts, frames and their digests, which are most of it: thousands of these fit into memory. */
export function withoutParts({ sealed: _, ...manifest }: Manifest): Manifest {
  return { ...manifest, chunks: manifest.chunks.map(({ parts: _, frames: __, ...chunk }) => chunk) };
}

/**
 * Reads a manifest of many, without the hashes of parts: what is damaged or archived is reported and does not end the others.
 * @throws ToolError when it cannot be read at all
 */
export async function readForOverview(bucket: Bucket, key: string): Promise<ReadManifest> {
  try {
    return withoutParts(await readManifest(bucket, key));
  } catch (error) {
    if (error instanceof ArchivedDocument) return { unusable: error.problem, isArchived: true };
    if (!(error instanceof ToolError) || error.kind !== 'damage') throw error;
    return { unusable: error.problem };
  }
}

/** Lists what there is, from the keys alone. */
export async function listEverything(bucket: Bucket, subvolume?: string): Promise<Everything> {
  return everythingAmong(bucket.prefix, await listKeys(bucket, rootOf(bucket, subvolume)));
}

/** What there is below a prefix, among keys that were listed. */
export function everythingAmong(prefix: string, listed: readonly string[]): Everything {
  const known = listed.flatMap((key) => {
    const parsed = parseKey(prefix, key);
    return parsed ? [{ key, ...parsed }] : [];
  });
  const published = new Set(
    known.flatMap(({ type, subvolume: name }) => (type === 'current' || type === 'manifest' ? [name] : [])),
  );
  const all = new Set(known.map((object) => object.subvolume));
  const keys = known
    .flatMap((object) => (object.type === 'manifest' ? [object] : []))
    .sort((a, b) => (a.timestamp < b.timestamp ? -1 : 1));
  return {
    names: [...published].sort(),
    unfinished: [...all].filter((name) => !published.has(name)).sort(),
    keys,
  };
}

/** What the keys of one subvolume, or of all, begin with. */
export function rootOf(bucket: Bucket, subvolume: string | undefined): string {
  return subvolume === undefined
    ? subvolumesRoot(bucket.prefix)
    : new SubvolumeKeys(bucket.prefix, subvolume).root;
}

/** The error for a selection that matches nothing: it says what there is instead. */
export async function nothingFound(bucket: Bucket, message: string): Promise<ToolError> {
  const names = [...new Set((await listManifests(bucket)).map((manifest) => manifest.subvolume))];
  return new ToolError(`${message} in bucket ${bucket.name} under ${bucket.prefix}/`, {
    kind: 'usage',
    hint:
      names.length > 0
        ? `there are: ${names.join(', ')}; check SUBVOLUME`
        : ((await hintAtPrefixes(bucket)) ?? 'there are no backups at all; check S3_BUCKET'),
  });
}

const mostPrefixes = 8;

/**
 * What to do where there is nothing under S3_PREFIX, which by default is another one on a new host; undefined where there is nothing
 * under any other either.
 */
export async function hintAtPrefixes(bucket: Bucket): Promise<string | undefined> {
  const prefixes = (await glimpsePrefixes(bucket))?.filter((prefix) => prefix !== bucket.prefix);
  const all = 'make list HOST_PREFIX=/ shows the backups of all hosts';
  if (prefixes === undefined) {
    return `set S3_PREFIX to that of the host that made them; ${all}, where these credentials may list them`;
  }
  const [first] = prefixes;
  if (first === undefined) return undefined;
  const more = prefixes.length - mostPrefixes;
  const named = prefixes.slice(0, mostPrefixes).join(', ') + (more > 0 ? ` and ${more} more` : '');
  return `there are backups under ${named}: set S3_PREFIX, such as S3_PREFIX=${first}; ${all}`;
}
