/** CompleteMultipartUpload (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html). */
import { createHash } from 'node:crypto';
import { defaultRetention } from '../bucket/object-lock.ts';
import { type Call, quotedEtag, type S3Response, target, xmlResponse } from '../http/call.ts';
import {
  type ChecksumAlgorithm,
  checksumHeader,
  compositeChecksum,
  createDigest,
} from '../http/checksums.ts';
import { receiveText } from '../http/document.ts';
import { S3Error } from '../http/errors.ts';
import type { S3Request } from '../http/request.ts';
import { buildDocument } from '../http/xml.ts';
import { encryptionHeaders } from '../objects/attributes.ts';
import { writePrecondition } from '../objects/conditions.ts';
import {
  type Checksum,
  type ObjectRecord,
  type PartRecord,
  timestamp,
  type UploadState,
} from '../store/records.ts';
import { versionHeaders } from '../store/versions.ts';
import { checkRepeated, type ListedPart, readParts, selectParts } from './part-list.ts';
import { type UploadChecksum, uploadChecksum } from './upload-checksum.ts';

/** The CRC of the bytes themselves, for which the parts are read once more. */
async function fullChecksum(
  call: Call,
  algorithm: ChecksumAlgorithm,
  parts: readonly PartRecord[],
): Promise<string> {
  const digest = createDigest(algorithm);
  const blobs = parts.map((part) => part.blob);
  const sizeBytes = blobs.reduce((sum, blob) => sum + blob.sizeBytes, 0);
  for await (const slice of call.store.blobs.read(blobs, 0, sizeBytes - 1)) {
    digest.update(slice);
  }
  return Buffer.from(await digest.digest()).toString('base64');
}

async function combineChecksums(
  call: Call,
  wanted: UploadChecksum | undefined,
  parts: readonly PartRecord[],
): Promise<Checksum | undefined> {
  if (wanted === undefined) {
    return undefined;
  }
  const { algorithm, type } = wanted;
  const values = parts.map((part) => part.checksum ?? '');
  const value =
    type === 'FULL_OBJECT'
      ? await fullChecksum(call, algorithm, parts)
      : await compositeChecksum(algorithm, values);
  return { algorithm, type, value };
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
    const named = request.headers['x-amz-checksum-type']?.toUpperCase();
    // A CRC that comes without a type is taken for a composite, which there can be of all but the 64 bits.
    const claimedType = named ?? (claimed === undefined || algorithm === 'CRC64NVME' ? type : 'COMPOSITE');
    if (claimedType !== type) {
      throw new S3Error('InvalidRequest', {
        message: `The upload was created using the ${type} checksum mode. The complete request must use the same checksum mode.`,
      });
    }
    // S3 takes the composite with its number of parts or without.
    if (claimed !== undefined && claimed !== value && claimed !== value.replace(/-\d+$/, '')) {
      throw new S3Error('BadDigest', {
        message: `The ${algorithm} you specified did not match the calculated checksum.`,
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

/** Where a server wants parts of one size, the last one excepted, which may be smaller. @throws S3Error InvalidPart */
function refuseUnequal(parts: readonly PartRecord[]): void {
  const sizes = parts.map(({ blob }) => blob.sizeBytes);
  const [first = 0] = sizes;
  if (sizes.slice(0, -1).every((size) => size === first) && (sizes.at(-1) ?? 0) <= first) return;
  throw new S3Error('InvalidPart', { message: 'All non-trailing parts must have the same length.' });
}

async function assemble(
  call: Call,
  upload: UploadState,
  listed: readonly ListedPart[],
): Promise<ObjectRecord> {
  const parts = selectParts(upload, listed);
  if (call.settings.habits.partsOfOneSize) refuseUnequal(parts);
  const { key, attributes, uploadId } = upload.record;
  const { configuration } = call.store.bucket(call.request.bucket ?? '');
  const checksum = await combineChecksums(call, uploadChecksum(upload.record), parts);
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
    uploadId,
    retention: upload.record.retention ?? defaultRetention(configuration),
    parts: parts.map(({ number, etag, checksum: ofPart, blob }) => {
      return { number, sizeBytes: blob.sizeBytes, etag, checksum: ofPart };
    }),
  };
}

/**
 * Makes the object of the listed parts, without copying their bytes. Refused, the upload stays as it was. A client
 * whose answer was lost asks again, and S3 then answers as before, whatever the conditions say now: seen against S3 in
 * https://github.com/adobe/S3Mock/issues/2586 and https://github.com/minio/minio/issues/13318. S3 forgets after a
 * while; this server remembers for as long as the object is the one of that upload.
 */
export async function completeMultipartUpload(call: Call): Promise<S3Response> {
  const { bucket, key } = target(call);
  const uploadId = call.request.query.uploadId ?? '';
  const precondition = writePrecondition(call.request);
  const named = readParts(await receiveText(call, { of: 'object' }));
  const ignoresChecksums = call.settings.habits.ignored?.test('x-amz-checksum-sha256') === true;
  const listed = ignoresChecksums ? named.map(({ PartNumber, ETag }) => ({ PartNumber, ETag })) : named;
  const object = await call.uploads.complete(
    bucket,
    key,
    uploadId,
    { assemble: (upload) => assemble(call, upload, listed), repeat: (done) => checkRepeated(done, listed) },
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
    { ...encryptionHeaders(object.attributes), ...versionHeaders(call.store.bucket(bucket), object) },
  );
}
