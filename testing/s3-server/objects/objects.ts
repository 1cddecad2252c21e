/** PutObject, GetObject, HeadObject, DeleteObject. */
import { randomBytes } from 'node:crypto';
import {
  defaultRetention,
  readRetention,
  requireDigestFor,
  retentionHeaders,
} from '../bucket/object-lock.ts';
import { receiveBody } from '../http/body.ts';
import { type Call, lastModifiedHeader, quotedEtag, type S3Response, target } from '../http/call.ts';
import { checksumHeader } from '../http/checksums.ts';
import { parseRange } from '../http/range.ts';
import { type SelectedPart, selectPart } from '../multipart/part-number.ts';
import { type Checksum, type ObjectAttributes, type ObjectRecord, timestamp } from '../store/records.ts';
import { versionHeaders } from '../store/versions.ts';
import { requireReadable, restoreHeaders } from './archive.ts';
import { attributeHeaders, encryptionHeaders, readAttributes } from './attributes.ts';
import { isNotModified, writePrecondition } from './conditions.ts';
import { deleteOne } from './delete-one.ts';

/** Query parameters by which GetObject overrides headers of its answer. */
const OVERRIDES = [
  'content-type',
  'content-language',
  'expires',
  'cache-control',
  'content-disposition',
  'content-encoding',
];

/**
 * The ETag of bytes stored in one piece: their MD5, but something else under aws:kms, where S3 promises nothing
 * (https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html).
 */
export function etagFor(attributes: ObjectAttributes, md5Hex: string): string {
  return attributes.sse.algorithm === 'aws:kms' ? randomBytes(16).toString('hex') : md5Hex;
}

/** The headers that carry a checksum and whether it covers the object or its parts. */
function checksumHeaders(checksum: Checksum | undefined): Record<string, string> {
  return checksum === undefined
    ? {}
    : { [checksumHeader(checksum.algorithm)]: checksum.value, 'x-amz-checksum-type': checksum.type };
}

/** PutObject (https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html). */
export async function putObject(call: Call): Promise<S3Response> {
  const { bucket, key } = target(call);
  const { store, request, settings } = call;
  const { configuration } = store.bucket(bucket);
  const attributes = readAttributes(request, settings.region);
  const precondition = writePrecondition(request);
  const retention = readRetention(request, configuration) ?? defaultRetention(configuration);
  requireDigestFor(retention, call);
  const { id, result } = await store.blobs.create((sink) => receiveBody(call, sink));
  const checksum: Checksum | undefined =
    result.checksum === undefined ? undefined : { ...result.checksum, type: 'FULL_OBJECT' };
  const object: ObjectRecord = {
    key,
    sizeBytes: result.sizeBytes,
    etag: etagFor(attributes, result.md5Hex),
    lastModified: timestamp(),
    attributes,
    checksum,
    blobs: [{ id, sizeBytes: result.sizeBytes }],
    retention,
  };
  let stored: ObjectRecord;
  try {
    stored = await store.putObject(bucket, object, precondition);
  } catch (error) {
    await store.blobs.remove([id]);
    throw error;
  }
  return {
    status: 200,
    headers: {
      etag: quotedEtag(object),
      ...checksumHeaders(checksum),
      ...encryptionHeaders(attributes),
      ...versionHeaders(store.bucket(bucket), stored),
    },
  };
}

function commonHeaders(object: ObjectRecord): Record<string, string> {
  return { etag: quotedEtag(object), ...lastModifiedHeader(object) };
}

function overrides(call: Call): Record<string, string> {
  return Object.fromEntries(
    OVERRIDES.flatMap((name) => {
      const value = call.request.query[`response-${name}`];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/**
 * The checksum of the bytes that are sent. That of the object covers the whole of it, so a partial answer goes
 * without, but for a part of an object whose checksum is made of its parts'.
 */
function checksumOf(
  object: ObjectRecord,
  selected: SelectedPart | undefined,
  start: number,
  end: number,
): Checksum | undefined {
  const { checksum } = object;
  const ofPart = selected?.part?.checksum;
  if (checksum?.type === 'COMPOSITE' && ofPart !== undefined) {
    return { ...checksum, value: ofPart };
  }
  return start === 0 && end === object.sizeBytes - 1 ? checksum : undefined;
}

/** What GetObject and HeadObject say alike, and the bytes that GetObject sends after it. */
function describe(
  call: Call,
  object: ObjectRecord,
): Required<Omit<S3Response, 'body'>> & { start: number; end: number } {
  if (isNotModified(call.request, object)) {
    return { status: 304, headers: commonHeaders(object), start: 0, end: -1 };
  }
  const selected = selectPart(call.request, object);
  const range = selected?.range ?? parseRange(call.request.headers.range, object.sizeBytes);
  const { start, end } = range ?? { start: 0, end: object.sizeBytes - 1 };
  const ranged = selected === undefined && range !== undefined;
  const wantsChecksum = call.request.headers['x-amz-checksum-mode']?.toUpperCase() === 'ENABLED';
  return {
    status: range === undefined ? 200 : 206,
    headers: {
      ...commonHeaders(object),
      ...attributeHeaders(object.attributes),
      ...restoreHeaders(object),
      ...retentionHeaders(object.retention),
      ...versionHeaders(call.store.bucket(call.request.bucket ?? ''), object),
      ...(wantsChecksum && !ranged ? checksumHeaders(checksumOf(object, selected, start, end)) : {}),
      ...(range === undefined || end < start
        ? {}
        : { 'content-range': `bytes ${start}-${end}/${object.sizeBytes}` }),
      ...(selected?.part === undefined ? {} : { 'x-amz-mp-parts-count': String(selected.count) }),
      ...overrides(call),
      'accept-ranges': 'bytes',
      'content-length': String(end - start + 1),
    },
    start,
    end,
  };
}

/** GetObject (https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html). */
export async function getObject(call: Call): Promise<S3Response> {
  const { bucket, key } = target(call);
  const object = call.store.object(bucket, key, call.request.query.versionId);
  requireReadable(object);
  const { status, headers, start, end } = describe(call, object);
  if (status === 304 || end < start) {
    return { status, headers };
  }
  return { status, headers, body: call.store.blobs.read(object.blobs, start, end) };
}

/** HeadObject: the same without the bytes; an archived object may be looked at. */
export async function headObject(call: Call): Promise<S3Response> {
  const { bucket, key } = target(call);
  const object = call.store.object(bucket, key, call.request.query.versionId);
  const { status, headers } = describe(call, object);
  return { status, headers };
}

/** DeleteObject: 204 whether or not there was one; see `deleteOne` for what it makes of versions. */
export async function deleteObject(call: Call): Promise<S3Response> {
  const { bucket, key } = target(call);
  const { versionId } = call.request.query;
  const removal = await deleteOne(call, bucket, { key, versionId, etag: call.request.headers['if-match'] });
  return {
    status: 204,
    headers: {
      ...(removal.marker === undefined ? {} : { 'x-amz-delete-marker': 'true' }),
      ...(removal.versionId === undefined ? {} : { 'x-amz-version-id': removal.versionId }),
    },
  };
}
