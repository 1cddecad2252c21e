/** CompleteMultipartUpload (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html). */
import { createHash } from 'node:crypto';
import { encryptionHeaders } from './attributes.ts';
import { type Call, quotedEtag, type S3Response, target, xmlResponse } from './call.ts';
import { type ChecksumAlgorithm, checksumHeader, compositeChecksum } from './checksums.ts';
import { writePrecondition } from './conditions.ts';
import { receiveText } from './document.ts';
import { S3Error } from './errors.ts';
import { type ListedPart, readParts, selectParts } from './part-list.ts';
import { type Checksum, type ObjectRecord, type PartRecord, timestamp, type UploadState } from './records.ts';
import type { S3Request } from './request.ts';
import { buildDocument } from './xml.ts';

async function combineChecksums(
  algorithm: ChecksumAlgorithm | undefined,
  parts: readonly PartRecord[],
): Promise<Checksum | undefined> {
  if (algorithm === undefined) {
    return undefined;
  }
  const values = parts.map((part) => part.checksum ?? '');
  return { algorithm, value: await compositeChecksum(algorithm, values), type: 'COMPOSITE' };
}

/** The ETag of a multipart object: the MD5 of the parts' MD5s, and how many there are. */
function combineEtags(parts: readonly PartRecord[]): string {
  const md5 = createHash('md5');
  for (const part of parts) {
    md5.update(Buffer.from(part.etag, 'hex'));
  }
  return `${md5.digest('hex')}-${parts.length}`;
}

/** What the request's headers say of the whole object has to be so. */
function checkClaims(request: S3Request, checksum: Checksum | undefined, sizeBytes: number): void {
  if (checksum !== undefined) {
    const { algorithm, type, value } = checksum;
    const claimed = request.headers[checksumHeader(algorithm)];
    // S3 takes the composite with its number of parts or without.
    if (claimed !== undefined && claimed !== value && claimed !== value.replace(/-\d+$/, '')) {
      throw new S3Error('BadDigest', {
        message: `The ${algorithm} you specified did not match the calculated checksum.`,
      });
    }
    const claimedType = request.headers['x-amz-checksum-type']?.toUpperCase();
    if (claimedType !== undefined && claimedType !== type) {
      throw new S3Error('InvalidRequest', {
        message: `The upload was created using the ${type} checksum mode. The complete request must use the same checksum mode.`,
      });
    }
  }
  const claimedSize = request.headers['x-amz-mp-object-size'];
  if (claimedSize !== undefined && Number(claimedSize) !== sizeBytes) {
    throw new S3Error('InvalidRequest', {
      message: `The provided 'x-amz-mp-object-size' header value ${claimedSize} does not match what was computed: ${sizeBytes}`,
    });
  }
}

async function assemble(
  call: Call,
  upload: UploadState,
  listed: readonly ListedPart[],
): Promise<ObjectRecord> {
  const parts = selectParts(upload, listed);
  const { key, attributes, checksumAlgorithm } = upload.record;
  const checksum = await combineChecksums(checksumAlgorithm, parts);
  const blobs = parts.map((part) => part.blob);
  const sizeBytes = blobs.reduce((sum, blob) => sum + blob.sizeBytes, 0);
  checkClaims(call.request, checksum, sizeBytes);
  const lastModified = timestamp();
  return {
    key,
    sizeBytes,
    etag: combineEtags(parts),
    lastModified,
    attributes,
    checksum,
    blobs,
    parts: parts.map(({ number, etag, checksum: ofPart, blob }) => {
      return { number, sizeBytes: blob.sizeBytes, etag, checksum: ofPart };
    }),
  };
}

/**
 * Makes the object of the listed parts, without copying their bytes. Refused, the upload stays as it was; completed,
 * it is gone, and completing it again is NoSuchUpload.
 */
export async function completeMultipartUpload(call: Call): Promise<S3Response> {
  const { bucket, key } = target(call);
  const uploadId = call.request.query.uploadId ?? '';
  const precondition = writePrecondition(call.request);
  const listed = readParts(await receiveText(call, 'object'));
  const object = await call.uploads.complete(
    bucket,
    key,
    uploadId,
    (upload) => assemble(call, upload, listed),
    precondition,
  );
  return xmlResponse(
    buildDocument('CompleteMultipartUploadResult', {
      Location: `http://${call.request.headers.host ?? ''}${call.request.path}`,
      Bucket: bucket,
      Key: key,
      ETag: quotedEtag(object),
      ...(object.checksum === undefined
        ? {}
        : {
            [`Checksum${object.checksum.algorithm}`]: object.checksum.value,
            ChecksumType: object.checksum.type,
          }),
    }),
    encryptionHeaders(object.attributes),
  );
}
