/** A request as S3 sees it: path-style bucket and key, decoded query, headers, and the raw body stream. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { S3Error } from './errors.ts';

/** What is remembered of a request for tests to count; status is 0 until it is answered. */
export interface RequestRecord {
  readonly method: string;
  readonly operation: string;
  readonly bucket: string | undefined;
  readonly key: string | undefined;
  /** Of a part that is stored. */
  readonly partNumber?: number;
  /** Of a part of an object that is asked for: the Range header. */
  readonly range?: string;
  status: number;
  /** Bytes of the body as they came over the wire, aws-chunked framing included. */
  bytesReceived: number;
}

/** One parsed request. */
export interface S3Request {
  readonly id: string;
  readonly method: string;
  /** The path as it was sent, percent-encoded. */
  readonly path: string;
  readonly bucket: string | undefined;
  readonly key: string | undefined;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly stream: Readable;
}

/** S3's limit for a key, in bytes of UTF-8 (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html). */
const MAX_KEY_BYTES = 1024;

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new S3Error('InvalidURI', { cause });
  }
}

function parseQuery(text: string): Record<string, string> {
  // Without a prototype, a parameter named `__proto__` is only a name.
  const query: Record<string, string> = Object.create(null);
  for (const pair of text.split('&').filter((part) => part !== '')) {
    const equals = pair.indexOf('=');
    const name = decode(equals === -1 ? pair : pair.slice(0, equals));
    query[name] ??= equals === -1 ? '' : decode(pair.slice(equals + 1));
  }
  return query;
}

/** A request id in S3's form: 16 upper-case hexadecimal digits. */
export function newRequestId(): string {
  return randomBytes(8).toString('hex').toUpperCase();
}

/**
 * Reads bucket, key and query from the request line.
 * The key is everything after the first segment, exactly as decoded: `..`, `//` and a leading dash are part of it.
 * @param hostBucket the bucket, where the Host header names it (virtual-hosted style)
 * @throws S3Error InvalidURI for a broken percent-encoding, KeyTooLongError for a key above 1024 bytes.
 */
export function parseRequest(
  stream: IncomingMessage,
  url: string,
  id: string,
  hostBucket: string | undefined,
): S3Request {
  const question = url.indexOf('?');
  const path = question === -1 ? url : url.slice(0, question);
  const full = hostBucket === undefined ? path : `/${hostBucket}${path}`;
  const slash = full.indexOf('/', 1);
  const bucket = decode(slash === -1 ? full.slice(1) : full.slice(1, slash));
  const key = slash === -1 ? '' : decode(full.slice(slash + 1));
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) {
    throw new S3Error('KeyTooLongError', {
      elements: { Size: String(Buffer.byteLength(key)), MaxSizeAllowed: String(MAX_KEY_BYTES) },
    });
  }
  const headers: Record<string, string> = Object.create(null);
  for (const [name, value] of Object.entries(stream.headers)) {
    if (value !== undefined) {
      headers[name] = Array.isArray(value) ? value.join(',') : value;
    }
  }
  return {
    id,
    method: stream.method ?? 'GET',
    path,
    bucket: bucket === '' ? undefined : bucket,
    key: key === '' ? undefined : key,
    query: parseQuery(question === -1 ? '' : url.slice(question + 1)),
    headers,
    stream,
  };
}
