import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { type EarlierChunk, replayJournal } from '../../../lib/core/plan/resume.ts';
import type { Part } from '../../../lib/core/stream/chunker.ts';
import { MIB } from '../../../lib/core/units.ts';
import { Journal, readJournal } from '../../../lib/edge/files/journal.ts';
import { abortUpload } from '../../../lib/edge/s3/multipart-uploads.ts';
import { headObject } from '../../../lib/edge/s3/objects.ts';
import { Hasher } from '../../../lib/transfer/memory/hasher.ts';
import { makeSlots } from '../../../lib/transfer/memory/part-pool.ts';
import { StreamChanged } from '../../../lib/transfer/out/chunk-object.ts';
import { ChunkUpload } from '../../../lib/transfer/out/chunk-upload.ts';
import { ChunkWriter } from '../../../lib/transfer/out/chunk-writer.ts';
import { plainWrite, startTestBucket } from '../../support/bucket.ts';
import type { ProxiedRequest } from '../../support/faulty-proxy.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('chunk-upload');
const journalPath = join(directory, 'upload.jsonl');
const { bucket, proxy } = await startTestBucket(join(directory, 's3'));
const partSizeBytes = 5 * MIB;
const hasher = new Hasher(makeSlots(1, 1));
after(() => hasher.close());

const events = { onSent: () => undefined };
const writer = new ChunkWriter(bucket, plainWrite, events);

/** Three parts, as an earlier run and this one have them. */
const pieces = [randomBytes(partSizeBytes), randomBytes(partSizeBytes), randomBytes(1000)];
const sha256 = (data: Uint8Array, encoding: 'hex' | 'base64') =>
  createHash('sha256').update(data).digest(encoding);
let chunks = 0;

/** One run over a chunk: stores the parts, in the order given, as far as it gets. */
async function runOver(
  key: string,
  parts: readonly Buffer[],
  earlier: EarlierChunk | undefined,
  { order = parts.map((_, index) => index + 1), isWhole = true } = {},
) {
  if (!earlier) rmSync(journalPath, { force: true });
  const journal = await Journal.open(journalPath);
  let reused = 0;
  const lost: string[] = [];
  const onReused = (bytes: number) => (reused += bytes);
  const onEnded = async (gone: string) => void lost.push(`${gone} was ended`);
  const tools = { writer, journal, hasher, onReused, onLost: (reason: string) => lost.push(reason), onEnded };
  const replaces = earlier?.completed?.etag;
  const upload = new ChunkUpload(tools, { index: 0, key, partSizeBytes, replaces }, earlier);
  try {
    await Promise.all(
      order.map((number) => {
        const bytes = parts[number - 1] ?? Buffer.alloc(0);
        const endsChunk = isWhole && number === parts.length;
        const part: Part = {
          chunkIndex: 0,
          number,
          slot: { index: 0, bytes, pieces: [bytes.subarray(0, 1000), bytes.subarray(1000)] },
          sizeBytes: bytes.length,
          endsChunk,
        };
        const chunk = endsChunk ? sha256(Buffer.concat(parts), 'hex') : '';
        return upload.store(part, { part: sha256(bytes, 'base64'), chunk, stream: chunk });
      }),
    );
    const stored = isWhole ? await upload.finish(sha256(Buffer.concat(parts), 'hex')) : undefined;
    return { stored, reused, lost };
  } finally {
    await journal.close();
  }
}

/** What the journal says of the chunk. */
const journalled = async () => replayJournal(await readJournal(journalPath)).chunks.get(0);

const isPart = ({ url }: ProxiedRequest) => url.includes('partNumber=');
const partsSent = () =>
  proxy.requests
    .filter(isPart)
    .map(({ url }) => Number(/partNumber=(\d+)/.exec(url)?.[1]))
    .sort((a, b) => a - b);
const begins = () =>
  proxy.requests.filter(({ method, url }) => method === 'POST' && /\?uploads/.test(url)).length;

let key = '';
beforeEach(() => {
  key = `host/subvol/data/full/chunk-${chunks++}.bin`;
  proxy.expect();
});

/** An earlier run that was killed after two of the three parts. */
async function killedAfterTwo(): Promise<EarlierChunk> {
  await runOver(key, pieces, undefined, { order: [1, 2], isWhole: false });
  proxy.expect();
  return (await journalled()) ?? assert.fail();
}

test('a chunk is stored in parts, journalled as it goes, and described as it stands in the bucket', async () => {
  const { stored, reused } = await runOver(key, pieces, undefined, { order: [3, 2, 1] });
  const head = await headObject(bucket, key);
  assert.deepEqual(stored, {
    index: 0,
    key,
    size: 2 * partSizeBytes + 1000,
    sha256: sha256(Buffer.concat(pieces), 'hex'),
    etag: head?.etag,
    part_size: partSizeBytes,
    parts: pieces.map((piece) => sha256(piece, 'base64')),
    checksum: head?.sha256,
  });
  assert.equal(head?.sizeBytes, stored?.size);
  assert.equal(reused, 0);
  assert.deepEqual(
    (await readJournal(journalPath)).map(({ event }) => event),
    ['chunk-begun', 'part-stored', 'part-stored', 'part-stored', 'chunk-completed'],
  );
});

test('a chunk of one part is one request, and no multipart upload', async () => {
  const { stored } = await runOver(key, [pieces[2] ?? Buffer.alloc(0)], undefined);
  assert.deepEqual(
    proxy.requests.map(({ method, url }) => `${method} ${url.includes('?uploads')}`),
    ['PUT false'],
  );
  assert.deepEqual([stored?.size, stored?.parts.length], [1000, 1]);
  assert.equal((await headObject(bucket, key))?.sizeBytes, 1000);
});

test('parts with the same bytes are not sent again, and the upload goes on', async () => {
  const earlier = await killedAfterTwo();
  const { stored, reused } = await runOver(key, pieces, earlier);
  assert.deepEqual(partsSent(), [3]);
  assert.equal(begins(), 0);
  assert.equal(reused, 2 * partSizeBytes);
  assert.equal(stored?.sha256, sha256(Buffer.concat(pieces), 'hex'));
  assert.equal((await headObject(bucket, key))?.sizeBytes, stored?.size);
});

test('a part with other bytes at the same place is sent again', async () => {
  const earlier = await killedAfterTwo();
  const changed = Buffer.from(pieces[0] ?? []);
  changed[17] = (changed[17] ?? 0) ^ 1;
  const parts = [changed, ...pieces.slice(1)];
  const { stored, reused } = await runOver(key, parts, earlier);
  assert.deepEqual(partsSent(), [1, 3]);
  assert.equal(reused, partSizeBytes);
  assert.deepEqual(
    stored?.parts,
    parts.map((piece) => sha256(piece, 'base64')),
  );
  assert.equal((await headObject(bucket, key))?.sha256, stored?.checksum);
});

test('a part that the journal has but the server has not, or has otherwise, is sent again', async () => {
  const earlier = await killedAfterTwo();
  const upload = { key, uploadId: earlier.uploadId ?? '' };
  const other = randomBytes(partSizeBytes);
  await writer.putPart(upload, 2, { pieces: [other], sha256: sha256(other, 'base64'), md5: async () => '' });
  const third = { number: 3, size: 1000, sha256: sha256(pieces[2] ?? other, 'base64'), etag: '"0"' };
  proxy.expect();
  await runOver(key, pieces, { ...earlier, parts: new Map(earlier.parts).set(3, third) });
  assert.deepEqual(partsSent(), [2, 3]);
});

test('an upload that the server no longer knows is begun anew, and everything is sent', async () => {
  const earlier = await killedAfterTwo();
  await abortUpload(bucket, { key, uploadId: earlier.uploadId ?? '' });
  const { stored, reused } = await runOver(key, pieces, earlier);
  assert.deepEqual([partsSent(), begins(), reused], [[1, 2, 3], 1, 0]);
  assert.equal((await headObject(bucket, key))?.sizeBytes, stored?.size);
  const now = await journalled();
  assert.notEqual(now?.uploadId, earlier.uploadId);
  assert.deepEqual(now?.completed, stored);
});

test('a chunk that was completed is not touched when the stream is the same', async () => {
  const first = await runOver(key, pieces, undefined);
  const earlier = (await journalled()) ?? assert.fail();
  proxy.expect();
  const { stored, reused } = await runOver(key, pieces, earlier);
  assert.deepEqual(stored, first.stored);
  assert.equal(reused, 2 * partSizeBytes + 1000);
  assert.deepEqual(
    proxy.requests.map(({ method }) => method),
    ['HEAD'],
    'it is asked for once',
  );
  assert.equal((await readJournal(journalPath)).length, 5, 'nothing new to tell');
});

test('a chunk that was completed in the last moment of a killed run is found, and not sent again', async () => {
  const first = await runOver(key, pieces, undefined);
  const { completed: _, ...earlier } = (await journalled()) ?? assert.fail();
  proxy.expect();
  const { stored, reused } = await runOver(key, pieces, { ...earlier, completed: undefined });
  assert.deepEqual([stored, partsSent(), begins()], [first.stored, [], 0]);
  assert.equal(reused, 2 * partSizeBytes + 1000);
  assert.deepEqual((await journalled())?.completed, stored, 'now the journal says so');

  const changed = [...pieces.slice(0, 2), randomBytes(1000)];
  await assert.rejects(
    runOver(key, changed, { ...earlier, completed: undefined }),
    (error) => error instanceof StreamChanged,
  );
});

test('a chunk that the journal calls complete, but that is gone from the bucket, is sent again', async () => {
  const first = await runOver(key, pieces, undefined);
  const earlier = (await journalled()) ?? assert.fail();
  await bucket.client.send(new DeleteObjectCommand({ Bucket: bucket.name, Key: key }));
  proxy.expect();
  const { stored, reused } = await runOver(key, pieces, earlier);
  assert.deepEqual([partsSent(), reused, stored?.sha256], [[1, 2, 3], 0, first.stored?.sha256]);
  assert.equal((await headObject(bucket, key))?.sizeBytes, stored?.size);
});

for (const [what, change] of [
  ['holds other bytes', () => [pieces[0] ?? Buffer.alloc(0), ...pieces.slice(0, 2)]],
  ['is longer than the stream', () => pieces.slice(0, 2)],
  ['is shorter than the stream', () => [...pieces, randomBytes(10)]],
  ['ends otherwise', () => [...pieces.slice(0, 2), randomBytes(1000)]],
] as const) {
  test(`a completed chunk that ${what} after parts that are the same means that the stream has changed`, async () => {
    await runOver(key, pieces, undefined);
    const earlier = (await journalled()) ?? assert.fail();
    await assert.rejects(
      runOver(key, change(), earlier),
      (error) => error instanceof StreamChanged && error.chunkIndex === 0,
    );
  });
}

test('a completed chunk that differs from its first part on is stored anew', async () => {
  await runOver(key, pieces, undefined);
  const earlier = (await journalled()) ?? assert.fail();
  const others = [pieces[1] ?? Buffer.alloc(0), pieces[1] ?? Buffer.alloc(0), randomBytes(1000)];
  proxy.expect();
  const { stored, reused, lost } = await runOver(key, others, earlier);
  assert.deepEqual([partsSent(), begins(), reused], [[1, 2, 3], 1, 0]);
  assert.equal(stored?.sha256, sha256(Buffer.concat(others), 'hex'));
  assert.match(lost.join(), /^the stream has changed: .* is sent again$/);
  assert.deepEqual((await journalled())?.completed, stored);
});

test('what an earlier run knew of another key is of no use', async () => {
  await runOver(key, pieces, undefined);
  const completed = (await journalled()) ?? assert.fail();
  proxy.expect();
  const { stored, reused } = await runOver(`${key}.other`, pieces, completed);
  assert.deepEqual([partsSent(), reused, stored?.key], [[1, 2, 3], 0, `${key}.other`]);
});
