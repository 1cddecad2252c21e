/**
 * The aws-chunked framing of a body: hexadecimal size, CRLF, data, CRLF, …, a chunk of size 0, trailer lines,
 * an empty line (https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html).
 */
import { S3Error } from './errors.ts';

/** No size line or trailer of a real client comes near this; it bounds what a broken one can make us keep. */
const MAX_LINE_BYTES = 4096;

type State = 'size' | 'data' | 'data-end' | 'trailer' | 'end';

function parseSize(line: string): number {
  const size = /^([0-9a-fA-F]{1,12})(;.*)?$/.exec(line)?.[1];
  if (size === undefined) {
    throw new S3Error('InvalidRequest', { message: 'The body is not framed as aws-chunked.' });
  }
  return Number.parseInt(size, 16);
}

function readTrailer(line: string, trailers: Map<string, string>): void {
  const colon = line.indexOf(':');
  if (colon < 1) {
    throw new S3Error('MalformedTrailerError');
  }
  trailers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
}

/**
 * Takes the framing off a body, piece by piece, without copying its data.
 * @param trailers receives the trailer lines, names in lower case, once the body was read to its end
 * @throws S3Error InvalidRequest, MalformedTrailerError for wrong framing; IncompleteBody when it ends too early
 */
export async function* decodeAwsChunked(
  source: AsyncIterable<Buffer>,
  trailers: Map<string, string>,
): AsyncGenerator<Buffer, void> {
  let state: State = 'size';
  let remaining = 0;
  let line = '';
  for await (const buffer of source) {
    let offset = 0;
    while (offset < buffer.length) {
      if (state === 'data') {
        const end = Math.min(offset + remaining, buffer.length);
        yield buffer.subarray(offset, end);
        remaining -= end - offset;
        offset = end;
        state = remaining === 0 ? 'data-end' : 'data';
        continue;
      }
      const newline = buffer.indexOf(0x0a, offset);
      const end = newline === -1 ? buffer.length : newline + 1;
      line += buffer.toString('latin1', offset, end);
      offset = end;
      if (line.length > MAX_LINE_BYTES || state === 'end') {
        throw new S3Error('InvalidRequest', { message: 'The body is not framed as aws-chunked.' });
      }
      if (newline === -1) {
        continue;
      }
      const content = line.replace(/\r?\n$/, '');
      line = '';
      switch (state) {
        case 'size':
          remaining = parseSize(content);
          state = remaining === 0 ? 'trailer' : 'data';
          break;
        case 'data-end':
          if (content !== '') {
            throw new S3Error('InvalidRequest', { message: 'The body is not framed as aws-chunked.' });
          }
          state = 'size';
          break;
        case 'trailer':
          if (content === '') {
            state = 'end';
          } else {
            readTrailer(content, trailers);
          }
          break;
      }
    }
  }
  if (state !== 'end') {
    throw new S3Error('IncompleteBody');
  }
}
