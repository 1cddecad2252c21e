/** Part numbers: what may be one, and which bytes of a finished object one stands for. */
import { invalidArgument, S3Error } from '../http/errors.ts';
import type { ByteRange } from '../http/range.ts';
import type { S3Request } from '../http/request.ts';
import type { ObjectPart, ObjectRecord } from '../store/records.ts';

/** Parts of one upload are numbered from 1 to this (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html). */
export const MAX_PART_NUMBER = 10_000;

/** The `partNumber` of a request. @throws S3Error InvalidArgument */
export function readPartNumber(request: S3Request): number {
  const text = request.query.partNumber ?? '';
  const partNumber = Number(text);
  if (!/^\d+$/.test(text) || partNumber < 1 || partNumber > MAX_PART_NUMBER) {
    throw invalidArgument(
      'partNumber',
      text,
      `Part number must be an integer between 1 and ${MAX_PART_NUMBER}, inclusive`,
    );
  }
  return partNumber;
}

/** The parts an object was uploaded in, in order; undefined for one that was put whole. */
export function partsOf(object: ObjectRecord): readonly ObjectPart[] | undefined {
  if (object.parts !== undefined) {
    return object.parts;
  }
  // Records written before parts were kept still have one blob a part; their numbers are a guess.
  return /-\d+$/.test(object.etag)
    ? object.blobs.map((blob, index) => ({ number: index + 1, sizeBytes: blob.sizeBytes }))
    : undefined;
}

/** The part that `partNumber` names, with the bytes it covers; an object put whole is its own first part. */
export interface SelectedPart {
  readonly range: ByteRange;
  /** Of a multipart object only. */
  readonly part: ObjectPart | undefined;
  readonly count: number;
}

/**
 * Finds the part that GetObject or HeadObject asks for.
 * @throws S3Error InvalidArgument, InvalidRequest beside a Range, InvalidPartNumber for a part that is not there
 */
export function selectPart(request: S3Request, object: ObjectRecord): SelectedPart | undefined {
  if (request.query.partNumber === undefined) {
    return undefined;
  }
  const number = readPartNumber(request);
  if (request.headers.range !== undefined) {
    throw new S3Error('InvalidRequest', {
      message: 'Cannot specify both Range header and partNumber query parameter',
    });
  }
  const parts = partsOf(object);
  let start = 0;
  for (const part of parts ?? [{ number: 1, sizeBytes: object.sizeBytes }]) {
    if (part.number === number) {
      const range = { start, end: start + part.sizeBytes - 1 };
      return { range, part: parts === undefined ? undefined : part, count: parts?.length ?? 1 };
    }
    start += part.sizeBytes;
  }
  throw new S3Error('InvalidPartNumber', {
    elements: { PartNumberRequested: String(number), ActualPartCount: String(parts?.length ?? 1) },
  });
}
