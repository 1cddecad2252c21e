/** Multipart uploads: create, upload a part, abort. */
import { randomBytes } from 'node:crypto';
import { encryptionHeaders, readAttributes } from './attributes.ts';
import { receiveBody } from './body.ts';
import { type Call, quotedEtag, type S3Response, target, xmlResponse } from './call.ts';
import { type ChecksumAlgorithm, checksumHeader, parseAlgorithm } from './checksums.ts';
import { notImplementedHeader, S3Error } from './errors.ts';
import { claimedChecksum } from './integrity.ts';
import { etagFor } from './objects.ts';
import { readPartNumber } from './part-number.ts';
import { type PartRecord, timestamp, type UploadRecord } from './records.ts';
import type { S3Request } from './request.ts';
import { buildDocument } from './xml.ts';

/**
 * The checksum algorithm an upload is created with. Only composite checksums are implemented: CRC64NVME, and the
 * CRCs asked for as FULL_OBJECT, cover the whole object and are refused.
 * @throws S3Error InvalidRequest for combinations that S3 refuses, NotImplemented for those that only this server does
 */
function readChecksumAlgorithm(request: S3Request): ChecksumAlgorithm | undefined {
  const name = request.headers['x-amz-checksum-algorithm'];
  const type = request.headers['x-amz-checksum-type']?.toUpperCase();
  if (type !== undefined && type !== 'COMPOSITE' && type !== 'FULL_OBJECT') {
    throw new S3Error('InvalidRequest', { message: 'Value for x-amz-checksum-type header is invalid.' });
  }
  if (name === undefined) {
    if (type !== undefined) {
      throw new S3Error('InvalidRequest', {
        message: 'The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.',
      });
    }
    return undefined;
  }
  const algorithm = parseAlgorithm(name);
  const hash = algorithm === 'SHA256' || algorithm === 'SHA1';
  if (hash ? type === 'FULL_OBJECT' : algorithm === 'CRC64NVME' && type === 'COMPOSITE') {
    throw new S3Error('InvalidRequest', {
      message: `The ${type} checksum type cannot be used with the ${name.toLowerCase()} checksum algorithm.`,
    });
  }
  if (type === 'FULL_OBJECT' || algorithm === 'CRC64NVME') {
    throw notImplementedHeader('x-amz-checksum-type');
  }
  return algorithm;
}

/** CreateMultipartUpload (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html). */
export async function createMultipartUpload(call: Call): Promise<S3Response> {
  const { bucket, key } = target(call);
  const attributes = readAttributes(call.request, call.settings.region);
  const checksumAlgorithm = readChecksumAlgorithm(call.request);
  const record: UploadRecord = {
    uploadId: randomBytes(32).toString('base64url'),
    key,
    initiatedAt: new Date().toISOString(),
    attributes,
    checksumAlgorithm,
  };
  await call.uploads.create(bucket, record);
  return xmlResponse(
    buildDocument('InitiateMultipartUploadResult', { Bucket: bucket, Key: key, UploadId: record.uploadId }),
    {
      ...encryptionHeaders(attributes),
      ...(checksumAlgorithm === undefined
        ? {}
        : { 'x-amz-checksum-algorithm': checksumAlgorithm, 'x-amz-checksum-type': 'COMPOSITE' }),
    },
  );
}

/**
 * A part must bring a checksum of exactly the algorithm its upload was created with; S3 does not compute a missing
 * one for a composite checksum but refuses the part, in these words.
 */
function checkAlgorithm(call: Call, expected: ChecksumAlgorithm | undefined): void {
  const actual = claimedChecksum(call.request, call.payload.kind === 'unsigned-trailer')?.algorithm;
  if (expected !== undefined && actual !== expected) {
    throw new S3Error('InvalidRequest', {
      message: `Checksum Type mismatch occurred, expected checksum Type: ${expected.toLowerCase()}, actual checksum Type: ${actual?.toLowerCase() ?? 'null'}`,
    });
  }
}

/** UploadPart (https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html). */
export async function uploadPart(call: Call): Promise<S3Response> {
  const { bucket, key } = target(call);
  const { store, uploads, request } = call;
  const uploadId = request.query.uploadId ?? '';
  const number = readPartNumber(request);
  const { attributes, checksumAlgorithm } = uploads.get(bucket, key, uploadId).record;
  checkAlgorithm(call, checksumAlgorithm);
  const { id, result } = await store.blobs.create((sink) => receiveBody(call, sink));
  const part: PartRecord = {
    number,
    etag: etagFor(attributes, result.md5Hex),
    lastModified: timestamp(),
    // Without an algorithm at creation a part's checksum is verified and echoed, but not kept.
    checksum: checksumAlgorithm === undefined ? undefined : result.checksum?.value,
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
