/**
 * What comes with an object besides its bytes: storage class, encryption, content headers, user metadata.
 * Read once when the object is made, echoed whenever it is looked at.
 */
import { invalidArgument, notImplementedHeader, S3Error } from '../http/errors.ts';
import type { S3Request } from '../http/request.ts';
import type { ObjectAttributes } from '../store/records.ts';

/** The classes of https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html that a bucket can hold. */
const STORAGE_CLASSES: ReadonlySet<string> = new Set([
  'STANDARD',
  'REDUCED_REDUNDANCY',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'GLACIER',
  'DEEP_ARCHIVE',
  'GLACIER_IR',
]);

const CONTENT_HEADERS = [
  'content-type',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'expires',
];

/** Headers that change what is stored, and that this server does not act on. */
const REFUSED = [
  /^x-amz-tagging$/,
  /^x-amz-object-lock-legal-hold$/,
  /^x-amz-grant-/,
  /^x-amz-website-redirect-location$/,
  /^x-amz-write-offset-bytes$/,
  /^x-amz-server-side-encryption-(customer-|context$|bucket-key-enabled$)/,
];

/** S3's limit for all user metadata, names and values, in bytes. */
const MAX_USER_METADATA_BYTES = 2048;

function readStorageClass(request: S3Request): string {
  const storageClass = request.headers['x-amz-storage-class'] ?? 'STANDARD';
  if (!STORAGE_CLASSES.has(storageClass)) {
    throw new S3Error('InvalidStorageClass', { elements: { StorageClassRequested: storageClass } });
  }
  return storageClass;
}

function readEncryption(request: S3Request, region: string): ObjectAttributes['sse'] {
  const algorithm = request.headers['x-amz-server-side-encryption'];
  const kmsKeyId = request.headers['x-amz-server-side-encryption-aws-kms-key-id'];
  if (algorithm === 'aws:kms') {
    // Without a key id S3 takes the account's own key for S3, and answers with its name.
    return { algorithm, kmsKeyId: kmsKeyId ?? `arn:aws:kms:${region}:000000000000:key/aws-s3` };
  }
  if (algorithm !== undefined && algorithm !== 'AES256') {
    throw invalidArgument(
      'x-amz-server-side-encryption',
      algorithm,
      'The encryption method specified is not supported',
    );
  }
  if (kmsKeyId !== undefined) {
    throw invalidArgument(
      'x-amz-server-side-encryption-aws-kms-key-id',
      kmsKeyId,
      'The server-side encryption key id is only for aws:kms',
    );
  }
  // S3 encrypts everything since January 2023 and says so, asked or not
  // (https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-encryption-faq.html).
  return { algorithm: 'AES256' };
}

function readContentHeaders(request: S3Request): Record<string, string> {
  const found: Record<string, string> = { 'content-type': 'binary/octet-stream' };
  for (const name of CONTENT_HEADERS) {
    const value = request.headers[name];
    if (value !== undefined) {
      found[name] = value;
    }
  }
  // The framing of the transfer is not part of the object.
  const encodings = (found['content-encoding'] ?? '').split(',').map((each) => each.trim());
  const kept = encodings.filter((each) => each !== '' && each !== 'aws-chunked').join(',');
  delete found['content-encoding'];
  return kept === '' ? found : { ...found, 'content-encoding': kept };
}

/**
 * Reads the attributes that PutObject and CreateMultipartUpload take.
 * @throws S3Error InvalidStorageClass, InvalidArgument, MetadataTooLarge, NotImplemented
 */
export function readAttributes(request: S3Request, region: string): ObjectAttributes {
  for (const [name, value] of Object.entries(request.headers)) {
    const acl = name === 'x-amz-acl' && value !== 'private' && value !== 'bucket-owner-full-control';
    if (acl || REFUSED.some((pattern) => pattern.test(name))) {
      throw notImplementedHeader(name);
    }
  }
  const metadata = Object.entries(request.headers).filter(([name]) => name.startsWith('x-amz-meta-'));
  const bytes = metadata.reduce(
    (sum, [name, value]) => sum + name.length - 'x-amz-meta-'.length + value.length,
    0,
  );
  if (bytes > MAX_USER_METADATA_BYTES) {
    throw new S3Error('MetadataTooLarge', {
      elements: { Size: String(bytes), MaxSizeAllowed: String(MAX_USER_METADATA_BYTES) },
    });
  }
  return {
    storageClass: readStorageClass(request),
    sse: readEncryption(request, region),
    contentHeaders: readContentHeaders(request),
    userMetadata: Object.fromEntries(metadata),
  };
}

/** The encryption headers of an answer. */
export function encryptionHeaders(attributes: ObjectAttributes): Record<string, string> {
  const { algorithm, kmsKeyId } = attributes.sse;
  return {
    'x-amz-server-side-encryption': algorithm,
    ...(kmsKeyId === undefined ? {} : { 'x-amz-server-side-encryption-aws-kms-key-id': kmsKeyId }),
  };
}

/** Every attribute as GetObject and HeadObject give it; STANDARD goes without saying. */
export function attributeHeaders(attributes: ObjectAttributes): Record<string, string> {
  return {
    ...attributes.contentHeaders,
    ...attributes.userMetadata,
    ...encryptionHeaders(attributes),
    ...(attributes.storageClass === 'STANDARD' ? {} : { 'x-amz-storage-class': attributes.storageClass }),
  };
}
