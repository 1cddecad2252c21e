import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  decodeChunked,
  framingOf,
  parseResponseHead,
  UnusualResponse,
} from '../../../lib/edge/http/response-head.ts';
import { type Answer, ResponseReader, SCRATCH_BYTES } from '../../../lib/edge/http/response-reader.ts';

const head = (...lines: readonly string[]) => Buffer.from([...lines, '', ''].join('\r\n'), 'latin1');
const ok = 'HTTP/1.1 206 Partial Content';

test('a head gives status, reason and headers, and where it ends', () => {
  const bytes = head(ok, 'ETag: "a:b"', 'content-length:  12 ', 'X-Odd:', 'Via: a', 'via: b', '__proto__: c');
  const parsed = parseResponseHead(Buffer.concat([bytes, Buffer.from('body\r\n\r\n')]));
  assert.deepEqual(
    { ...parsed, headers: { ...parsed?.headers } },
    {
      status: 206,
      reason: 'Partial Content',
      headers: { etag: '"a:b"', 'content-length': '12', 'x-odd': '', via: 'a, b', ['__proto__']: 'c' },
      sizeBytes: bytes.length,
    },
  );
  assert.equal(parsed?.headers.constructor, undefined);
});

for (const [what, lines] of [
  ['another protocol', ['HTTP/1.0 206 Partial Content']],
  ['no status', ['HTTP/1.1 OK']],
  ['a status of one digit more', ['HTTP/1.1 2066 OK']],
  ['an interim answer', ['HTTP/1.1 100 Continue']],
  ['a folded header', [ok, 'a: b', ' c']],
  ['a header without a colon', [ok, 'a']],
  ['a blank before the colon', [ok, 'content-length : 1']],
  ['a bare line feed', [ok, 'a: b\nc: d']],
  ['a control character', [ok, 'a: \u0000']],
  ['two lengths', [ok, 'Content-Length: 1', 'content-length: 1']],
] as const) {
  test(`${what} is unusual`, () => {
    assert.throws(() => parseResponseHead(head(...lines)), UnusualResponse);
  });
}

test('a body is delimited by its length or in chunks, and by nothing else', () => {
  const framing = (status: string, ...lines: readonly string[]) => {
    const parsed = parseResponseHead(head(`HTTP/1.1 ${status}`, ...lines));
    return parsed && framingOf(parsed);
  };
  assert.deepEqual(framing('200', 'content-length: 12'), { kind: 'length', bytes: 12 });
  assert.deepEqual(framing('503', 'transfer-encoding: Chunked'), { kind: 'chunked' });
  for (const [status, ...lines] of [
    ['200'],
    ['200', 'content-length: -1'],
    ['200', 'content-length: 1, 1'],
    ['200', 'content-length: 0x1'],
    ['200', 'transfer-encoding: gzip, chunked'],
    ['200', 'transfer-encoding: chunked', 'content-length: 1'],
    ['204', 'content-length: 0'],
    ['304', 'content-length: 10'],
  ] as const) {
    assert.throws(() => framing(status, ...lines), UnusualResponse, lines.join());
  }
});

test('chunks make a body, once all of them are there', () => {
  const whole = Buffer.from('3\r\nabc\r\n0A;x=y\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n');
  assert.equal(decodeChunked(whole)?.toString(), 'abc0123456789');
  assert.equal(decodeChunked(Buffer.from('0\r\n\r\n'))?.length, 0);
  for (let length = 0; length < whole.length; length++) {
    assert.equal(decodeChunked(whole.subarray(0, length)), undefined, `${length}`);
  }
  for (const wrong of ['x\r\n', '\r\n', '-1\r\n', '3\r\nabcd\r\n', '123456789\r\n']) {
    assert.throws(() => decodeChunked(Buffer.from(wrong)), UnusualResponse, JSON.stringify(wrong));
  }
});

/** Reads an answer that comes in pieces of these sizes, again and again. */
function read(bytes: Buffer, sizes: readonly number[], target: Uint8Array | undefined) {
  let [counted, at] = [0, 0];
  const reader = new ResponseReader(
    Buffer.alloc(SCRATCH_BYTES),
    () => target,
    (more) => (counted += more),
  );
  let answer: Answer | undefined;
  for (let turn = 0; !answer && at < bytes.length; turn++) {
    const { room } = reader;
    const length = Math.min(sizes[turn % sizes.length] ?? 1, room.length, bytes.length - at);
    room.set(bytes.subarray(at, at + length));
    at += length;
    answer = reader.take(length);
  }
  return { answer, counted, left: bytes.length - at };
}

test('however an answer is cut, its body comes whole into the target, and not one byte beside it', () => {
  const pieces = fc.array(fc.integer({ min: 1, max: 40_000 }), { minLength: 1, maxLength: 5 });
  const bodies = fc.integer({ min: 1, max: 90_000 });
  fc.assert(
    fc.property(pieces, bodies, fc.boolean(), (sizes, length, closes) => {
      const body = Buffer.from(Array.from({ length }, (_, index) => index % 251));
      const first = head(ok, `content-length: ${length}`, ...(closes ? ['Connection: x, Close'] : []));
      const memory = Buffer.alloc(length + 20, 0xee);
      const { answer, counted } = read(Buffer.concat([first, body]), sizes, memory.subarray(10, -10));
      assert.deepEqual([answer?.keepsConnection, answer?.body.length, counted], [!closes, 0, length]);
      assert.deepEqual(memory, Buffer.concat([Buffer.alloc(10, 0xee), body, Buffer.alloc(10, 0xee)]));
    }),
    { numRuns: 60 },
  );
});

test('more bytes behind the head than its body has are unusual', () => {
  const bytes = Buffer.concat([head(ok, 'content-length: 3'), Buffer.from('abcd')]);
  assert.throws(() => read(bytes, [1000], Buffer.alloc(3)), UnusualResponse);
});

test('an error is collected, by its length or in chunks, and its connection not used again', () => {
  for (const [framing, body] of [
    ['content-length: 5', 'error'],
    ['content-length: 0', ''],
    ['transfer-encoding: chunked', '5\r\nerror\r\n0\r\n\r\n'],
  ] as const) {
    const bytes = Buffer.concat([head('HTTP/1.1 404 Not Found', framing), Buffer.from(body)]);
    for (const size of [1, 7, 1000]) {
      const { answer } = read(bytes, [size], undefined);
      assert.equal(answer?.body.toString(), body === '' ? '' : 'error');
      assert.deepEqual([answer?.head.status, answer?.keepsConnection], [404, false]);
    }
  }
});

test('a head or an error that does not end is unusual, and takes no more memory', () => {
  const endless = Buffer.from(`${ok}\r\na: ${'b'.repeat(2 * SCRATCH_BYTES)}`);
  assert.throws(() => read(endless, [1000], undefined), UnusualResponse);
  const large = Buffer.concat([head('HTTP/1.1 503 Busy', 'content-length: 99999'), Buffer.alloc(99_999)]);
  assert.throws(() => read(large, [1000], undefined), UnusualResponse);
});
