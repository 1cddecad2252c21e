/** The Range header. S3 serves one range, and ignores what it cannot read (RFC 9110, 14.2). */
import { S3Error } from './errors.ts';

/** Bytes `start` to `end`, both counted, 0-based. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Reads a Range header against an object's size.
 * @returns the range, or undefined when the whole object is to be sent
 * @throws S3Error InvalidRange when no byte of the object lies in it
 */
export function parseRange(header: string | undefined, sizeBytes: number): ByteRange | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  const [, first = '', last = ''] = match ?? [];
  if (match === null || (first === '' && last === '')) {
    return undefined;
  }
  if (first !== '' && last !== '' && Number(last) < Number(first)) {
    return undefined;
  }
  // A suffix range, `bytes=-500`, asks for the last 500 bytes.
  const start = first === '' ? Math.max(sizeBytes - Number(last), 0) : Number(first);
  const end = first === '' || last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1);
  if (start >= sizeBytes || (first === '' && Number(last) === 0)) {
    throw new S3Error('InvalidRange', {
      elements: { RangeRequested: header ?? '', ActualObjectSize: String(sizeBytes) },
      headers: { 'content-range': `bytes */${sizeBytes}` },
    });
  }
  return { start, end };
}
