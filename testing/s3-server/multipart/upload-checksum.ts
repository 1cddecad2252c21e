/**
 * Which checksum a multipart upload is to have: an algorithm, and whether it covers the object's bytes or is made of
 * its parts' checksums (https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html).
 */
import { type ChecksumAlgorithm, parseAlgorithm } from '../http/checksums.ts';
import { S3Error } from '../http/errors.ts';
import type { S3Request } from '../http/request.ts';
import type { Checksum, UploadRecord } from '../store/records.ts';

/** What CreateMultipartUpload settles for all that follows. */
export interface UploadChecksum {
  readonly algorithm: ChecksumAlgorithm;
  readonly type: Checksum['type'];
}

/** Only CRCs can be computed over an object that arrives in parts, and the one of 64 bits has no composite. */
function allows(algorithm: ChecksumAlgorithm, type: Checksum['type']): boolean {
  switch (algorithm) {
    case 'SHA1':
    case 'SHA256':
      return type === 'COMPOSITE';
    case 'CRC64NVME':
      return type === 'FULL_OBJECT';
    default:
      return true;
  }
}

/**
 * Reads what a CreateMultipartUpload asks for; without a type the CRC64NVME is of the full object, any other a composite.
 * @throws S3Error InvalidRequest for an unknown algorithm or type, and for combinations that S3 refuses
 */
export function readUploadChecksum(request: S3Request): UploadChecksum | undefined {
  const name = request.headers['x-amz-checksum-algorithm'];
  const asked = request.headers['x-amz-checksum-type']?.toUpperCase();
  if (asked !== undefined && asked !== 'COMPOSITE' && asked !== 'FULL_OBJECT') {
    throw new S3Error('InvalidRequest', { message: 'Value for x-amz-checksum-type header is invalid.' });
  }
  if (name === undefined) {
    if (asked !== undefined) {
      throw new S3Error('InvalidRequest', {
        message: 'The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.',
      });
    }
    return undefined;
  }
  const algorithm = parseAlgorithm(name);
  const type = asked ?? (algorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE');
  if (!allows(algorithm, type)) {
    throw new S3Error('InvalidRequest', {
      message: `The ${type} checksum type cannot be used with the ${name.toLowerCase()} checksum algorithm.`,
    });
  }
  return { algorithm, type };
}

/** What an upload was created with; records from before there were types are of composites. */
export function uploadChecksum(record: UploadRecord): UploadChecksum | undefined {
  const { checksumAlgorithm: algorithm, checksumType: type = 'COMPOSITE' } = record;
  return algorithm === undefined ? undefined : { algorithm, type };
}
