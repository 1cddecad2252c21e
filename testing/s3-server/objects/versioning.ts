/** Versioning of a bucket, and ListObjectVersions. */
import { z } from 'zod';
import { OWNER } from '../bucket/buckets.ts';
import { type Call, quotedEtag, type S3Response, xmlResponse } from '../http/call.ts';
import { receiveText } from '../http/document.ts';
import { invalidArgument, S3Error } from '../http/errors.ts';
import { compareKeys, cutPage, keyEncoder, queryInteger } from '../http/paging.ts';
import { buildDocument, parseDocument, type XmlNode } from '../http/xml.ts';
import type { BucketState, Version } from '../store/records.ts';
import { findVersion, isDeleteMarker, versionIdOf, versionsOf } from '../store/versions.ts';

const versioningSchema = z.object({ Status: z.string().optional(), MfaDelete: z.string().optional() });

/**
 * PutBucketVersioning (https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketVersioning.html); only turning it on
 * is implemented.
 * @throws S3Error NoSuchBucket, MalformedXML, IllegalVersioningConfigurationException, InvalidBucketState, NotImplemented
 */
export async function putBucketVersioning(call: Call): Promise<S3Response> {
  const parsed = versioningSchema.safeParse(
    parseDocument(await receiveText(call), 'VersioningConfiguration'),
  );
  if (!parsed.success || !['Enabled', 'Suspended', undefined].includes(parsed.data.Status)) {
    throw new S3Error('MalformedXML');
  }
  const { Status, MfaDelete } = parsed.data;
  if (Status === undefined) {
    throw new S3Error('IllegalVersioningConfigurationException', {
      message: 'The Versioning element must be specified',
    });
  }
  await call.store.configureBucket(call.request.bucket ?? '', (configuration) => {
    if (Status === 'Suspended' && configuration.objectLock !== undefined) {
      throw new S3Error('InvalidBucketState', {
        message:
          'An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.',
      });
    }
    if (Status === 'Suspended' || MfaDelete === 'Enabled') {
      throw new S3Error('NotImplemented', { message: 'Versioning can only be enabled, without MFA' });
    }
    return { ...configuration, versioning: 'Enabled' };
  });
  return { status: 200 };
}

/** GetBucketVersioning: empty where it never was on. @throws S3Error NoSuchBucket */
export async function getBucketVersioning(call: Call): Promise<S3Response> {
  const { configuration } = call.store.bucket(call.request.bucket ?? '');
  return xmlResponse(buildDocument('VersioningConfiguration', { Status: configuration.versioning }));
}

/** Where a page begins: behind a key, or behind one version of a key. */
interface Marker {
  readonly key: string;
  readonly versionId: string | undefined;
}

/** @throws S3Error InvalidArgument for a version without its key, an empty one, or what is no id */
function readMarker(query: Readonly<Record<string, string>>, bucket: BucketState): Marker {
  const { 'key-marker': key = '', 'version-id-marker': versionId } = query;
  const refuse = (message: string) => invalidArgument('version-id-marker', versionId ?? '', message);
  if (versionId !== undefined && key === '') {
    throw refuse('A version-id marker cannot be specified without a key marker.');
  }
  if (versionId === '') {
    throw refuse('A version-id marker cannot be empty.');
  }
  if (versionId !== undefined) {
    findVersion(bucket, key, versionId);
  }
  return { key, versionId };
}

/** A version with what its place in the history says of it. */
interface Entry {
  readonly version: Version;
  readonly isLatest: boolean;
}

function entriesBehind(bucket: BucketState, marker: Marker): Entry[] {
  const keys = [...new Set([...bucket.versions.keys(), ...bucket.objects.keys()])];
  const entriesOf = (key: string): Entry[] =>
    versionsOf(bucket, key).map((version, index) => ({ version, isLatest: index === 0 }));
  const rest = keys
    .filter((key) => compareKeys(key, marker.key) > 0)
    .sort(compareKeys)
    .flatMap(entriesOf);
  const ofMarker = marker.versionId === undefined ? [] : entriesOf(marker.key);
  const at = ofMarker.findIndex(({ version }) => versionIdOf(version) === marker.versionId);
  return at === -1 ? rest : [...ofMarker.slice(at + 1), ...rest];
}

function describe({ version, isLatest }: Entry, encode: (key: string) => string): XmlNode {
  return {
    Key: encode(version.key),
    VersionId: versionIdOf(version),
    IsLatest: isLatest,
    LastModified: version.lastModified,
    Owner: OWNER,
    ...(isDeleteMarker(version)
      ? {}
      : {
          ETag: quotedEtag(version),
          ...(version.checksum === undefined
            ? {}
            : { ChecksumAlgorithm: version.checksum.algorithm, ChecksumType: version.checksum.type }),
          Size: version.sizeBytes,
          StorageClass: version.attributes.storageClass,
        }),
  };
}

/** ListObjectVersions (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html). */
export async function listObjectVersions(call: Call): Promise<S3Response> {
  const { query } = call.request;
  const bucket = call.store.bucket(call.request.bucket ?? '');
  const maxKeys = Math.min(queryInteger(query, 'max-keys', 1000), 1000);
  const marker = readMarker(query, bucket);
  const encode = keyEncoder(query);
  const { prefix = '', delimiter = '' } = query;
  const page = cutPage(
    entriesBehind(bucket, marker),
    (entry) => entry.version.key,
    (commonPrefix) => commonPrefix === marker.key,
    { prefix, delimiter, size: Math.min(maxKeys, call.settings.listPageSize) },
  );
  const entries = page.entries.flatMap((entry) => (entry.kind === 'item' ? [entry.item] : []));
  const last = page.truncated ? page.entries.at(-1) : undefined;
  return xmlResponse(
    buildDocument('ListVersionsResult', {
      Name: bucket.name,
      Prefix: encode(prefix),
      KeyMarker: encode(marker.key),
      VersionIdMarker: marker.versionId ?? '',
      NextKeyMarker: last === undefined ? undefined : encode(last.name),
      NextVersionIdMarker: last?.kind === 'item' ? versionIdOf(last.item.version) : undefined,
      MaxKeys: maxKeys,
      Delimiter: delimiter === '' ? undefined : encode(delimiter),
      EncodingType: query['encoding-type'],
      IsTruncated: page.truncated,
      Version: entries
        .filter(({ version }) => !isDeleteMarker(version))
        .map((entry) => describe(entry, encode)),
      DeleteMarker: entries
        .filter(({ version }) => isDeleteMarker(version))
        .map((entry) => describe(entry, encode)),
      CommonPrefixes: page.entries.flatMap((entry) =>
        entry.kind === 'prefix' ? [{ Prefix: encode(entry.name) }] : [],
      ),
    }),
  );
}
