/** The list of parts that CompleteMultipartUpload names: read, put in question, and matched with what was uploaded. */
import { z } from 'zod';
import { CHECKSUM_ALGORITHMS } from '../http/checksums.ts';
import { invalidArgument, S3Error } from '../http/errors.ts';
import { parseDocument } from '../http/xml.ts';
import type { ObjectRecord, PartRecord, UploadState } from '../store/records.ts';
import { MAX_PART_NUMBER } from './part-number.ts';
import { uploadChecksum } from './upload-checksum.ts';

/** Every part but the last has at least this many bytes (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html). */
const MIN_PART_BYTES = 5 * 1024 * 1024;

const listedPartSchema = z.object({
  PartNumber: z
    .string()
    .trim()
    .regex(/^-?\d+$/)
    .transform(Number),
  ETag: z
    .string()
    .trim()
    .transform((etag) => etag.replace(/^"(.*)"$/, '$1')),
  ChecksumCRC32: z.string().trim().optional(),
  ChecksumCRC32C: z.string().trim().optional(),
  ChecksumCRC64NVME: z.string().trim().optional(),
  ChecksumSHA1: z.string().trim().optional(),
  ChecksumSHA256: z.string().trim().optional(),
});

const completeSchema = z.object({ Part: z.array(listedPartSchema).min(1).max(MAX_PART_NUMBER) });

/** One part as the client lists it; the ETag without quotes, checksums in base64. */
export type ListedPart = z.infer<typeof listedPartSchema>;

/**
 * Reads the request document.
 * @throws S3Error MalformedXML, InvalidArgument for a part number out of range, InvalidPartOrder
 */
export function readParts(text: string): ListedPart[] {
  const parsed = completeSchema.safeParse(parseDocument(text, 'CompleteMultipartUpload'));
  if (!parsed.success) {
    throw new S3Error('MalformedXML');
  }
  const parts = parsed.data.Part;
  for (const [index, { PartNumber }] of parts.entries()) {
    if (PartNumber < 1 || PartNumber > MAX_PART_NUMBER) {
      throw invalidArgument('PartNumber', String(PartNumber), 'PartNumber must be >= 1 and <= 10000');
    }
    if (PartNumber <= (parts[index - 1]?.PartNumber ?? 0)) {
      throw new S3Error('InvalidPartOrder');
    }
  }
  return parts;
}

function invalidPart(upload: UploadState, listed: ListedPart): S3Error {
  return new S3Error('InvalidPart', {
    elements: { UploadId: upload.record.uploadId, PartNumber: String(listed.PartNumber), ETag: listed.ETag },
  });
}

/**
 * A composite checksum is made of what each part was uploaded with, and the request has to repeat it for each. For a
 * checksum of the full object it need not, but what it says has to be so.
 */
function checkChecksum(upload: UploadState, listed: ListedPart, part: PartRecord): void {
  const expected = uploadChecksum(upload.record);
  const algorithm = expected?.algorithm;
  const given = CHECKSUM_ALGORITHMS.filter((each) => listed[`Checksum${each}`] !== undefined);
  const other = given.find((each) => each !== algorithm);
  if (expected === undefined) {
    if (other !== undefined) {
      throw invalidPart(upload, listed);
    }
    return;
  }
  if (other !== undefined) {
    throw new S3Error('BadDigest', {
      message: `The ${other.toLowerCase()} you specified for part ${listed.PartNumber} did not match what we received.`,
    });
  }
  if (given.length === 0) {
    if (expected.type === 'FULL_OBJECT') {
      return;
    }
    throw new S3Error('InvalidRequest', {
      message: `The upload was created using a ${expected.algorithm.toLowerCase()} checksum. The complete request must include the checksum for each part. It was missing for part ${listed.PartNumber} in the request.`,
    });
  }
  if (listed[`Checksum${expected.algorithm}`] !== part.checksum) {
    throw invalidPart(upload, listed);
  }
}

/**
 * Makes sure that a request to complete what is completed already is the same request.
 * @throws S3Error NoSuchUpload when it lists other parts than the object is made of
 */
export function checkRepeated(object: ObjectRecord, listed: readonly ListedPart[]): void {
  const parts = object.parts ?? [];
  const same = listed.every(({ PartNumber, ETag }, index) => {
    return parts[index]?.number === PartNumber && parts[index].etag === ETag;
  });
  if (listed.length !== parts.length || !same) {
    throw new S3Error('NoSuchUpload', { elements: { UploadId: object.uploadId ?? '' } });
  }
}

/**
 * The uploaded parts that the list names, every one verified.
 * @throws S3Error InvalidPart, InvalidRequest or BadDigest for checksums, EntityTooSmall, InternalError
 */
export function selectParts(upload: UploadState, listed: readonly ListedPart[]): PartRecord[] {
  const selected = listed.map((each) => {
    const part = upload.parts.get(each.PartNumber);
    if (part === undefined || part.etag !== each.ETag) {
      throw invalidPart(upload, each);
    }
    checkChecksum(upload, each, part);
    return part;
  });
  for (const part of selected.slice(0, -1)) {
    if (part.blob.sizeBytes < MIN_PART_BYTES) {
      throw new S3Error('EntityTooSmall', {
        elements: {
          ETag: part.etag,
          MinSizeAllowed: String(MIN_PART_BYTES),
          ProposedSize: String(part.blob.sizeBytes),
          PartNumber: String(part.number),
        },
      });
    }
  }
  if (
    upload.record.checksumAlgorithm !== undefined &&
    selected.some((part, index) => part.number !== index + 1)
  ) {
    // So documented: with checksums, part numbers that do not run 1, 2, 3, … are an internal error
    // (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompletedPart.html).
    throw new S3Error('InternalError');
  }
  return selected;
}
