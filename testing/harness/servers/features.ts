/**
 * What a server may lack of S3, by name. Each name stands for one behaviour, so that a server that lacks a detail is still
 * held to everything beside it.
 */

/** Every name, and what it stands for. */
export const features = {
  'anonymous-refusal': 'a request without a signature is refused',
  'archive-listing': 'a listing shows what is thawed',
  archive: 'archive classes are read only after a restore, which takes no time here',
  'bucket-location': 'a bucket reports its region',
  'bucket-names': 'a bucket name against the rules is refused',
  buckets: 'buckets are made, listed and removed',
  checksums: 'x-amz-checksum-* is verified, kept and returned',
  'complete-etag': 'completing an upload returns the ETag of the object',
  'conditional-complete': 'completing an upload can depend on what is there',
  'conditional-delete': 'a delete can depend on an ETag',
  'conditional-reads': 'If-Match, If-None-Match and dates decide about reads',
  'conditional-writes': 'If-Match and If-None-Match decide about writes',
  'content-md5': 'Content-MD5 is verified',
  'content-sha256-header': 'x-amz-content-sha256 is demanded',
  'default-encryption': 'what is put without encryption is encrypted, and says so',
  'default-retention-code': 'a default retention of no days is InvalidArgument',
  'default-type': 'what is put without a type is binary/octet-stream',
  'delete-marker-answers': 'a delete marker, and what it hides, say what they are',
  'empty-pages': 'a page of no keys is empty and the last',
  'empty-suffix': 'a range of the last no bytes is InvalidRange',
  'encryption-validation': 'an unknown encryption is refused',
  encryption: 'encryption with AES256 is accepted and reported',
  'error-codes': 'a refusal has the code of S3 where another one would be near',
  'error-messages': 'a refusal says in words what is wrong',
  'etag-on-304': 'an answer of 304 repeats the ETag',
  'full-object-checksums': 'checksums of the full object for multipart uploads',
  'glacier-ir': 'the class GLACIER_IR',
  'head-ranges': 'HEAD takes a range',
  'idle-lifecycle-rules': 'a lifecycle rule that does nothing is InvalidRequest',
  'key-length': 'a key of more than 1024 bytes is refused',
  'key-names': 'any key of at most 1024 bytes works',
  'key-order': 'listings are in the order of UTF-8 bytes',
  kms: 'encryption with aws:kms is accepted and reported',
  'large-puts': 'an object of 20 MiB in one request',
  'lifecycle-sizes': 'a lifecycle rule can go by the size of objects',
  'lifecycle-validation': 'lifecycle rules that make no sense are refused',
  lifecycle: 'lifecycle configurations are kept and given back',
  'list-parts': 'the parts of an upload are listed',
  'list-uploads': 'uploads in progress are listed',
  'listing-owners': 'a listing shows owners',
  'listing-validation': 'odd parameters of a listing are refused',
  'locked-message': 'the refusal to delete what is locked names Object Lock',
  'long-ranges': 'a range beyond the end is cut',
  'malformed-ranges': 'what is no range is ignored',
  'malformed-xml': 'a body that is not what it should be is refused',
  'metadata-limit': 'more than 2 KiB of metadata are refused',
  'missing-length': 'a body without a length is refused',
  'multipart-retention': 'a multipart upload can be retained from its beginning',
  'no-such-retention': 'asking for a retention where there is none is NoSuchObjectLockConfiguration',
  'no-such-version': 'what is read by an unknown version is NoSuchVersion',
  'object-attributes': 'GetObjectAttributes',
  'object-headers': 'an object keeps Cache-Control and Content-Encoding',
  'object-lock': 'Object Lock refuses what it has to',
  'part-etags': 'the ETag of a part is the MD5 of its bytes',
  'part-number-form': 'a part number that is no number is refused',
  'part-number-limit': 'a part number above 10000 is refused',
  'part-number-zero': 'part number 0 is refused',
  'part-numbers': 'a part of an object can be read by its number',
  'part-order': 'parts out of order, or twice, are refused',
  'payload-hash': 'the signed hash of a body is verified',
  'presigned-refusal': 'a presigned URL is refused when it has expired or was changed',
  presigned: 'presigned URLs',
  'quiet-delete': 'DeleteObjects names what it removed, and is silent when asked to be',
  'quoted-if-match': 'If-Match takes an ETag with its quotes',
  'race-answers': 'the loser of a race of If-Match gets 412',
  'repeated-completion-parts': 'completing again looks at the parts',
  'repeated-completion': 'an upload that is completed again is answered again',
  'request-ids': 'a refusal names its request',
  'response-headers': 'response-* parameters',
  signatures: 'signatures are verified',
  'signing-region': 'a signature for another region is refused',
  'standard-by-silence': 'the storage class STANDARD is reported by leaving it out',
  'start-inside-prefix': 'a listing that starts inside a rolled-up prefix shows the rest of it',
  'storage-classes': 'storage classes are kept and reported',
  'strict-signature': 'what is no signature version 4 is refused as S3 does',
  'strict-validation': 'odd requests are refused as S3 refuses them',
  trailers: 'aws-chunked bodies with their checksum behind them',
  'unknown-storage-class': 'an unknown storage class is refused',
  'unknown-upload-abort': 'aborting an unknown upload is NoSuchUpload',
  'unknown-upload-complete': 'completing an unknown upload is NoSuchUpload',
  'unknown-upload-list': 'listing the parts of an unknown upload is NoSuchUpload',
  'unknown-upload-put': 'a part of an unknown upload is NoSuchUpload',
  'unlisted-parts': 'parts that are not listed are left out of the object',
  'unquoted-if-match': 'If-Match takes an ETag without quotes',
  'unsigned-headers': 'an x-amz header that was not signed is refused',
  'upload-delimiter': 'a listing of uploads knows a delimiter',
  'url-encoding': 'a listing can encode keys that XML cannot carry',
  'version-key-marker': 'a listing of versions begins behind a key',
  versions: 'buckets keep versions',
  'vouched-delete': 'DeleteObjects wants a digest or checksum of its body',
  'vouched-lifecycle': 'a lifecycle configuration wants a digest or checksum',
  'vouched-retention': 'bytes that are to be retained want a digest or checksum',
} as const;

/** A behaviour of S3 that a server may be known to lack; its tests are then skipped. */
export type Feature = keyof typeof features;

const isFeature = (name: string): name is Feature => Object.hasOwn(features, name);

/**
 * Reads a list such as `archive,checksums`; spaces around the names are allowed.
 * @throws when a name is unknown, with the known ones.
 */
export function parseFeatures(list: string): ReadonlySet<Feature> {
  const names = list
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  const unknown = names.filter((name) => !isFeature(name));
  if (unknown.length > 0) {
    const known = Object.keys(features).sort().join(', ');
    throw new Error(`S3_LACKS names what is no feature: ${unknown.join(', ')}; known are ${known}`);
  }
  return new Set(names.filter(isFeature));
}
