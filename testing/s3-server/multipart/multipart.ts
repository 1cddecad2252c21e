/** Multipart uploads: create, upload a part, abort. */
import { randomBytes } from 'node:crypto';
import { defaultRetention, readRetention, requireDigestFor } from '../bucket/object-lock.ts';
import { receiveBody } from '../http/body.ts';
import { type Call, quotedEtag, type S3Response, target, xmlResponse } from '../http/call.ts';
import { checksumHeader } from '../http/checksums.ts';
import { S3Error } from '../http/errors.ts';
import { claimedChecksum } from '../http/integrity.ts';
import { buildDocument } from '../http/xml.ts';
import { encryptionHeaders, readAttributes } from '../objects/attributes.ts';
import { etagFor } from '../objects/objects.ts';
import { type PartRecord, timestamp, type UploadRecord } from '../store/records.ts';
import { readPartNumber } from './part-number.ts';
import { readUploadChecksum, type UploadChecksum, uploadChecksum } from './upload-checksum.ts';

/** CreateMultipartUpload (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html). */
export async function createMultipartUpload(call: Call): Promise<S3Response> {
  const { bucket, key } = target(call);
  const attributes = readAttributes(call.request, call.settings.region);
  const checksum = readUploadChecksum(call.request);
  const retention = readRetention(call.request, call.store.bucket(bucket).configuration);
  const record: UploadRecord = {
    uploadId: randomBytes(32).toString('base64url'),
    key,
    initiatedAt: new Date().toISOString(),
    attributes,
    checksumAlgorithm: checksum?.algorithm,
    checksumType: checksum?.type,
    retention,
  };
  await call.uploads.create(bucket, record);
  return xmlResponse(
    buildDocument('InitiateMultipartUploadResult', { Bucket: bucket, Key: key, UploadId: record.uploadId }),
    {
      ...encryptionHeaders(attributes),
      ...(checksum === undefined
        ? {}
        : { 'x-amz-checksum-algorithm': checksum.algorithm, 'x-amz-checksum-type': checksum.type }),
    },
  );
}

/**
 * A part of a composite must bring a checksum of exactly the algorithm its upload was created with; S3 refuses it in
 * these words. Under a checksum of the full object a part may come without one, and S3 then computes it.
 */
function checkAlgorithm(call: Call, expected: UploadChecksum | undefined): void {
  const actual = claimedChecksum(call.request, call.payload.kind === 'unsigned-trailer')?.algorithm;
  const optional = actual === undefined && expected?.type === 'FULL_OBJECT';
  if (expected !== undefined && actual !== expected.algorithm && !optional) {
    throw new S3Error('InvalidRequest', {
      message: `Checksum Type mismatch occurred, expected checksum Type: ${expected.algorithm.toLowerCase()}, actual checksum Type: ${actual?.toLowerCase() ?? 'null'}`,
    });
  }
}

/** UploadPart (https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html). */
export async function uploadPart(call: Call): Promise<S3Response> {
  const { bucket, key } = target(call);
  const { store, uploads, request } = call;
  const uploadId = request.query.uploadId ?? '';
  const number = readPartNumber(request);
  const { record } = uploads.get(bucket, key, uploadId);
  const { attributes } = record;
  const checksum = uploadChecksum(record);
  checkAlgorithm(call, checksum);
  requireDigestFor(record.retention ?? defaultRetention(store.bucket(bucket).configuration), call);
  const { id, result } = await store.blobs.create((sink) =>
    receiveBody(call, sink, { unclaimed: checksum?.algorithm }),
  );
  const part: PartRecord = {
    number,
    etag: call.settings.habits.etagOfPartIsNoMd5
      ? randomBytes(16).toString('hex')
      : etagFor(attributes, result.md5Hex),
    lastModified: timestamp(),
    // Without an algorithm at creation a part's checksum is verified and echoed, but not kept.
    checksum: checksum === undefined ? undefined : result.checksum?.value,
    blob: { id, sizeBytes: result.sizeBytes },
  };
  try {
    await uploads.putPart(bucket, key, uploadId, part);
  } catch (error) {
    await store.blobs.remove([id]);
    throw error;
  }
  return {
    status: 200,
    headers: {
      etag: quotedEtag(part),
      ...(result.checksum === undefined
        ? {}
        : { [checksumHeader(result.checksum.algorithm)]: result.checksum.value }),
      ...encryptionHeaders(attributes),
    },
  };
}

/** AbortMultipartUpload: the parts are gone with it. @throws S3Error NoSuchUpload */
export async function abortMultipartUpload(call: Call): Promise<S3Response> {
  const { bucket, key } = target(call);
  await call.uploads.abort(bucket, key, call.request.query.uploadId ?? '');
  return { status: 204 };
}
