/** Heads of HTTP/1.1 responses (RFC 9112), read strictly: whatever is unusual is refused, and left to a whole HTTP client. */

/** What comes before a body. */
export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  /** By names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Its own length in bytes, with the empty line that ends it. */
  readonly sizeBytes: number;
}

/** How a body is delimited. */
export type Framing = { readonly kind: 'length'; readonly bytes: number } | { readonly kind: 'chunked' };

/** A response that is not of the plain kind that is understood here. It need not be wrong. */
export class UnusualResponse extends Error {
  override readonly name = 'UnusualResponse';
}

const statusLine = /^HTTP\/1\.1 ([2-5]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?$/;
const headerLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*([\t\x20-\x7e\x80-\xff]*?)[\t ]*$/;

/** Headers whose repetition leaves open what is meant. */
const single: readonly string[] = [
  'content-encoding',
  'content-length',
  'content-range',
  'transfer-encoding',
  'etag',
];

/**
 * Reads the head at the beginning of what a server sent.
 * @returns undefined when it has not come whole
 * @throws UnusualResponse
 */
export function parseResponseHead(bytes: Buffer): ResponseHead | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const [first = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
  const [, status, reason = ''] = statusLine.exec(first) ?? [];
  if (status === undefined) throw new UnusualResponse(`an unusual status line: ${JSON.stringify(first)}`);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name, value = ''] = headerLine.exec(line) ?? [];
    if (name === undefined) throw new UnusualResponse('a header of another form than "name: value"');
    const key = name.toLowerCase();
    const before = headers.get(key);
    if (before !== undefined && single.includes(key)) throw new UnusualResponse(`${key} comes twice`);
    headers.set(key, before === undefined ? value : `${before}, ${value}`);
  }
  return {
    status: Number(status),
    reason,
    // Without a prototype, a header may be called as it likes.
    headers: Object.assign(Object.create(null), Object.fromEntries(headers)),
    sizeBytes: end + 4,
  };
}

/** How the body behind a head is delimited (RFC 9112, section 6.3). @throws UnusualResponse */
export function framingOf({ status, headers }: ResponseHead): Framing {
  const length = headers['content-length'];
  const coding = headers['transfer-encoding'];
  if (status === 204 || status === 304) throw new UnusualResponse(`an answer without a body: ${status}`);
  if (coding !== undefined) {
    if (coding.toLowerCase() === 'chunked' && length === undefined) return { kind: 'chunked' };
    throw new UnusualResponse('a transfer coding other than "chunked" alone');
  }
  if (length === undefined || !/^\d{1,15}$/.test(length)) throw new UnusualResponse('no length of the body');
  return { kind: 'length', bytes: Number(length) };
}

/**
 * The contents of a small chunked body (RFC 9112, section 7.1).
 * @returns undefined when it has not come whole
 * @throws UnusualResponse
 */
export function decodeChunked(bytes: Buffer): Buffer | undefined {
  const pieces: Buffer[] = [];
  for (let at = 0; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd === -1) return undefined;
    const [, size] = /^([0-9a-f]{1,8})[\t ]*(?:;.*)?$/i.exec(bytes.toString('latin1', at, lineEnd)) ?? [];
    if (size === undefined) throw new UnusualResponse('a chunk without a size');
    const [from, length] = [lineEnd + 2, Number.parseInt(size, 16)];
    // Behind the last chunk come trailers, which are not needed, and an empty line.
    if (length === 0) return bytes.indexOf('\r\n\r\n', lineEnd) === -1 ? undefined : Buffer.concat(pieces);
    if (bytes.length < from + length + 2) return undefined;
    if (bytes.toString('latin1', from + length, from + length + 2) !== '\r\n') {
      throw new UnusualResponse('a chunk of another size than it says');
    }
    pieces.push(bytes.subarray(from, from + length));
    at = from + length + 2;
  }
}
