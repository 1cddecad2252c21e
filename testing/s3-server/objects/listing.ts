/** ListObjectsV2 (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html). */

import { OWNER } from '../bucket/buckets.ts';
import { type Call, quotedEtag, type S3Response, xmlResponse } from '../http/call.ts';
import { invalidArgument } from '../http/errors.ts';
import { compareKeys, cutPage, type Entry, keyEncoder, queryInteger } from '../http/paging.ts';
import { buildDocument, type XmlNode } from '../http/xml.ts';
import type { ObjectRecord } from '../store/records.ts';
import { thawState } from './archive.ts';

const TOKEN_MARK = 'v1:';

function writeToken(entry: Entry<ObjectRecord>): string {
  return Buffer.from(`${TOKEN_MARK}${entry.name}`).toString('base64');
}

/** @throws S3Error InvalidArgument for a token this server did not make */
function readToken(token: string): string {
  const text = Buffer.from(token, 'base64').toString('utf8');
  if (!text.startsWith(TOKEN_MARK)) {
    throw invalidArgument('continuation-token', token, 'The continuation token provided is incorrect');
  }
  return text.slice(TOKEN_MARK.length);
}

function restoreStatus(object: ObjectRecord): XmlNode {
  const state = thawState(object, Date.now());
  switch (state.kind) {
    case 'thawing':
      return { IsRestoreInProgress: true };
    case 'thawed':
      return { IsRestoreInProgress: false, RestoreExpiryDate: new Date(state.expiresAtMs).toISOString() };
    default:
      return undefined;
  }
}

/** Lists a bucket's keys in the byte order of UTF-8, page by page. @throws S3Error NoSuchBucket, InvalidArgument */
export async function listObjects(call: Call): Promise<S3Response> {
  const { query, headers } = call.request;
  const bucket = call.store.bucket(call.request.bucket ?? '');
  if (query['list-type'] !== '2') {
    throw invalidArgument('list-type', query['list-type'] ?? '', 'Invalid List Type');
  }
  const encode = keyEncoder(query);
  const token = query['continuation-token'];
  const after = token === undefined ? (query['start-after'] ?? '') : readToken(token);
  const delimiter = query.delimiter ?? '';
  const maxKeys = Math.min(queryInteger(query, 'max-keys', 1000), 1000);
  const attributes = headers['x-amz-optional-object-attributes'] ?? '';
  const withRestore = attributes.split(',').some((each) => each.trim() === 'RestoreStatus');

  const behind = [...bucket.objects.values()]
    .filter((object) => compareKeys(object.key, after) > 0)
    .sort((left, right) => compareKeys(left.key, right.key));
  const page = cutPage(
    behind,
    (object) => object.key,
    // A page that ended with a common prefix goes on behind everything under it.
    (prefix) => prefix === after,
    { prefix: query.prefix ?? '', delimiter, size: Math.min(maxKeys, call.settings.listPageSize) },
  );
  const last = page.entries.at(-1);
  const content = (object: ObjectRecord): XmlNode => ({
    Key: encode(object.key),
    LastModified: object.lastModified,
    ETag: quotedEtag(object),
    ...(object.checksum === undefined
      ? {}
      : { ChecksumAlgorithm: object.checksum.algorithm, ChecksumType: object.checksum.type }),
    Size: object.sizeBytes,
    Owner: query['fetch-owner'] === 'true' ? OWNER : undefined,
    StorageClass: object.attributes.storageClass,
    RestoreStatus: withRestore ? restoreStatus(object) : undefined,
  });
  return xmlResponse(
    buildDocument('ListBucketResult', {
      Name: bucket.name,
      Prefix: encode(query.prefix ?? ''),
      Delimiter: delimiter === '' ? undefined : encode(delimiter),
      MaxKeys: maxKeys,
      EncodingType: query['encoding-type'],
      StartAfter: query['start-after'] === undefined ? undefined : encode(query['start-after']),
      ContinuationToken: token,
      NextContinuationToken: page.truncated && last !== undefined ? writeToken(last) : undefined,
      KeyCount: page.entries.length,
      IsTruncated: page.truncated,
      Contents: page.entries.flatMap((entry) => (entry.kind === 'item' ? [content(entry.item)] : [])),
      CommonPrefixes: page.entries.flatMap((entry) =>
        entry.kind === 'prefix' ? [{ Prefix: encode(entry.name) }] : [],
      ),
    }),
  );
}
