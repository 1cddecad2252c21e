/** GetObjectAttributes (https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html). */
import { type Call, lastModifiedHeader, type S3Response, target, xmlResponse } from '../http/call.ts';
import { invalidArgument, S3Error } from '../http/errors.ts';
import { queryInteger } from '../http/paging.ts';
import { buildDocument, type XmlNode } from '../http/xml.ts';
import { partsOf } from '../multipart/part-number.ts';
import type { ObjectRecord } from '../store/records.ts';
import { versionHeaders } from '../store/versions.ts';

const ATTRIBUTES: ReadonlySet<string> = new Set([
  'ETag',
  'Checksum',
  'ObjectParts',
  'StorageClass',
  'ObjectSize',
]);

/** @throws S3Error InvalidRequest when no attribute is asked for, InvalidArgument for one S3 does not know */
function readWanted(call: Call): ReadonlySet<string> {
  const text = call.request.headers['x-amz-object-attributes'] ?? '';
  const names = text
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');
  if (names.length === 0) {
    throw new S3Error('InvalidRequest', {
      message:
        'The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty',
    });
  }
  const unknown = names.find((name) => !ATTRIBUTES.has(name));
  if (unknown !== undefined) {
    throw invalidArgument('x-amz-object-attributes', text, 'Invalid attribute name specified.');
  }
  return new Set(names);
}

/** A composite goes without its number of parts here, and only here. */
function checksum(object: ObjectRecord): XmlNode {
  return object.checksum === undefined
    ? undefined
    : {
        [`Checksum${object.checksum.algorithm}`]: object.checksum.value.replace(/-\d+$/, ''),
        ChecksumType: object.checksum.type,
      };
}

/**
 * The parts of a multipart object, one page of them. Without a checksum of each, S3 reports only how many there are:
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributesParts.html says so of uploads without
 * additional checksums, and uploads with a checksum of the full object are answered alike.
 */
function objectParts(call: Call, object: ObjectRecord): XmlNode {
  const marker = queryInteger(call.request.headers, 'x-amz-part-number-marker', 0);
  const maxParts = Math.min(queryInteger(call.request.headers, 'x-amz-max-parts', 1000), 1000);
  const parts = partsOf(object);
  if (parts === undefined) {
    return undefined;
  }
  const algorithm = object.checksum?.algorithm;
  if (object.checksum?.type !== 'COMPOSITE' || parts.some((part) => part.checksum === undefined)) {
    return { PartsCount: parts.length };
  }
  const behind = parts.filter((part) => part.number > marker);
  const page = behind.slice(0, Math.min(maxParts, call.settings.listPageSize));
  return {
    PartsCount: parts.length,
    PartNumberMarker: marker,
    NextPartNumberMarker: page.at(-1)?.number ?? 0,
    MaxParts: maxParts,
    IsTruncated: page.length > 0 && behind.length > page.length,
    Part: page.map((part) => ({
      PartNumber: part.number,
      Size: part.sizeBytes,
      [`Checksum${algorithm}`]: part.checksum,
    })),
  };
}

/** Returns the requested attributes and nothing else; one in an archive class may be asked too. */
export async function getObjectAttributes(call: Call): Promise<S3Response> {
  const { bucket, key } = target(call);
  const wanted = readWanted(call);
  const object = call.store.object(bucket, key, call.request.query.versionId);
  const document = buildDocument('GetObjectAttributesResponse', {
    // The one place where S3 gives an ETag without its quotes.
    ETag: wanted.has('ETag') ? object.etag : undefined,
    Checksum: wanted.has('Checksum') ? checksum(object) : undefined,
    ObjectParts: wanted.has('ObjectParts') ? objectParts(call, object) : undefined,
    StorageClass: wanted.has('StorageClass') ? object.attributes.storageClass : undefined,
    ObjectSize: wanted.has('ObjectSize') ? object.sizeBytes : undefined,
  });
  const version = versionHeaders(call.store.bucket(bucket), object);
  return xmlResponse(document, { ...lastModifiedHeader(object), ...version });
}
