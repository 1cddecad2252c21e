/** ListParts and ListMultipartUploads. */
import { OWNER } from '../bucket/buckets.ts';
import { type Call, quotedEtag, type S3Response, target, xmlResponse } from '../http/call.ts';
import { compareKeys, cutPage, keyEncoder, queryInteger } from '../http/paging.ts';
import { buildDocument } from '../http/xml.ts';
import type { UploadRecord } from '../store/records.ts';
import { uploadChecksum } from './upload-checksum.ts';

/** S3 calls the account that began an upload its initiator; here it is the owner. */
const PEOPLE = { Initiator: OWNER, Owner: OWNER };

/** ListParts (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html). @throws S3Error NoSuchUpload */
export async function listParts(call: Call): Promise<S3Response> {
  const { bucket, key } = target(call);
  const { query } = call.request;
  const { record, parts } = call.uploads.get(bucket, key, query.uploadId ?? '');
  const marker = queryInteger(query, 'part-number-marker', 0);
  const maxParts = Math.min(queryInteger(query, 'max-parts', 1000), 1000);
  const size = Math.min(maxParts, call.settings.listPageSize);
  const behind = [...parts.values()]
    .filter((part) => part.number > marker)
    .sort((left, right) => left.number - right.number);
  const page = behind.slice(0, size);
  const truncated = size > 0 && behind.length > size;
  const checksum = uploadChecksum(record);
  return xmlResponse(
    buildDocument('ListPartsResult', {
      Bucket: bucket,
      Key: keyEncoder(query)(key),
      UploadId: record.uploadId,
      ...PEOPLE,
      StorageClass: record.attributes.storageClass,
      PartNumberMarker: marker,
      NextPartNumberMarker: page.at(-1)?.number ?? 0,
      MaxParts: maxParts,
      IsTruncated: truncated,
      ChecksumAlgorithm: checksum?.algorithm,
      ChecksumType: checksum?.type,
      Part: page.map((part) => ({
        PartNumber: part.number,
        LastModified: part.lastModified,
        ETag: quotedEtag(part),
        Size: part.blob.sizeBytes,
        ...(checksum === undefined ? {} : { [`Checksum${checksum.algorithm}`]: part.checksum }),
      })),
    }),
  );
}

function compareUploads(left: UploadRecord, right: UploadRecord): number {
  return (
    compareKeys(left.key, right.key) ||
    compareKeys(left.initiatedAt, right.initiatedAt) ||
    compareKeys(left.uploadId, right.uploadId)
  );
}

/** ListMultipartUploads (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html). */
export async function listMultipartUploads(call: Call): Promise<S3Response> {
  const { query } = call.request;
  const bucket = call.store.bucket(call.request.bucket ?? '');
  const encode = keyEncoder(query);
  const keyMarker = query['key-marker'] ?? '';
  const idMarker = query['upload-id-marker'] ?? '';
  const delimiter = query.delimiter ?? '';
  const maxUploads = Math.min(queryInteger(query, 'max-uploads', 1000), 1000);
  const sorted = [...bucket.uploads.values()].map((upload) => upload.record).sort(compareUploads);
  // Behind the marker: later keys, and with an upload id also what follows that upload under the same key.
  const markerIndex = sorted.findIndex((upload) => upload.key === keyMarker && upload.uploadId === idMarker);
  const behind = sorted.filter(
    (upload, index) =>
      compareKeys(upload.key, keyMarker) > 0 ||
      (upload.key === keyMarker && markerIndex !== -1 && index > markerIndex),
  );
  const page = cutPage(
    behind,
    (upload) => upload.key,
    (prefix) => prefix === keyMarker,
    { prefix: query.prefix ?? '', delimiter, size: Math.min(maxUploads, call.settings.listPageSize) },
  );
  const last = page.entries.at(-1);
  return xmlResponse(
    buildDocument('ListMultipartUploadsResult', {
      Bucket: bucket.name,
      KeyMarker: encode(keyMarker),
      UploadIdMarker: idMarker,
      NextKeyMarker: page.truncated && last !== undefined ? encode(last.name) : undefined,
      NextUploadIdMarker: page.truncated && last?.kind === 'item' ? last.item.uploadId : undefined,
      Delimiter: delimiter === '' ? undefined : encode(delimiter),
      Prefix: encode(query.prefix ?? ''),
      EncodingType: query['encoding-type'],
      MaxUploads: maxUploads,
      IsTruncated: page.truncated,
      Upload: page.entries.flatMap((entry) =>
        entry.kind === 'item'
          ? [
              {
                Key: encode(entry.item.key),
                UploadId: entry.item.uploadId,
                ...PEOPLE,
                StorageClass: entry.item.attributes.storageClass,
                Initiated: entry.item.initiatedAt,
                ChecksumAlgorithm: uploadChecksum(entry.item)?.algorithm,
                ChecksumType: uploadChecksum(entry.item)?.type,
              },
            ]
          : [],
      ),
      CommonPrefixes: page.entries.flatMap((entry) =>
        entry.kind === 'prefix' ? [{ Prefix: encode(entry.name) }] : [],
      ),
    }),
  );
}
