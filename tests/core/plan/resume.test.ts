import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JournalEvent, UploadIdentity } from '../../../lib/core/format/run-files.ts';
import { differencesOf, replayJournal, withoutChunk } from '../../../lib/core/plan/resume.ts';
import { keys, dayStamp as stamp, uuidOf } from '../samples.ts';

const identity: UploadIdentity = {
  snapshot_uuid: uuidOf(2),
  parent_uuid: uuidOf(1),
  bucket: 'backups',
  server: 'AWS eu-central-1',
  storage_class: 'DEEP_ARCHIVE',
  sse: 'AES256',
  prefix: 'home-server',
  chunk_size: 3000,
  part_size: 1000,
  compress: 'none',
  encrypt_to: '',
};
const keyOf = (index: number) => keys.chunk('full', stamp(1), index);
const begun: JournalEvent = { event: 'upload-begun', ...identity };
const chunkBegun = (index: number, uploadId: string): JournalEvent => ({
  event: 'chunk-begun',
  index,
  key: keyOf(index),
  upload_id: uploadId,
});
const partOf = (number: number, sha256 = `hash-${number}`) => ({
  number,
  size: 1000,
  sha256,
  etag: `"${number}"`,
});
const partStored = (index: number, number: number, sha256?: string): JournalEvent => ({
  event: 'part-stored',
  index,
  ...partOf(number, sha256),
});
const chunkOf = (index: number) => ({
  index,
  key: keyOf(index),
  size: 2000,
  sha256: 'a'.repeat(64),
  etag: '"chunk"',
  part_size: 1000,
  parts: ['hash-1', 'hash-2'],
});
const chunkCompleted = (index: number): JournalEvent => ({ event: 'chunk-completed', ...chunkOf(index) });

test('an empty journal says nothing', () => {
  const { identity: nobody, chunks } = replayJournal([]);
  assert.equal(nobody, undefined);
  assert.equal(chunks.size, 0);
});

test('what was begun, stored and completed is there by chunk and part', () => {
  const earlier = replayJournal([
    begun,
    chunkBegun(0, 'upload-0'),
    partStored(0, 2),
    chunkBegun(1, 'upload-1'),
    partStored(0, 1),
    partStored(1, 1),
    chunkCompleted(0),
  ]);
  assert.deepEqual(earlier.identity, identity);
  assert.deepEqual([...earlier.chunks.keys()], [0, 1]);
  assert.deepEqual(earlier.chunks.get(0)?.completed, chunkOf(0));
  assert.deepEqual(earlier.chunks.get(1), {
    key: keyOf(1),
    uploadId: 'upload-1',
    parts: new Map([[1, partOf(1)]]),
    completed: undefined,
  });
});

test('a chunk that was stored with one request has no upload, but is completed', () => {
  const chunk = replayJournal([begun, chunkCompleted(0)]).chunks.get(0);
  assert.deepEqual(chunk, { key: keyOf(0), uploadId: undefined, parts: new Map(), completed: chunkOf(0) });
});

test('a chunk that begins again forgets the parts of its first upload', () => {
  const earlier = replayJournal([
    begun,
    chunkBegun(0, 'first'),
    partStored(0, 1),
    chunkBegun(0, 'second'),
    partStored(0, 2),
  ]);
  assert.equal(earlier.chunks.get(0)?.uploadId, 'second');
  assert.deepEqual([...(earlier.chunks.get(0)?.parts.keys() ?? [])], [2]);
});

test('of a part that was stored twice, the later counts', () => {
  const earlier = replayJournal([
    begun,
    chunkBegun(0, 'u'),
    partStored(0, 1, 'old'),
    partStored(0, 1, 'new'),
  ]);
  assert.equal(earlier.chunks.get(0)?.parts.get(1)?.sha256, 'new');
});

test('a part of a chunk that was never begun is ignored', () => {
  assert.equal(replayJournal([begun, partStored(3, 1)]).chunks.size, 0);
});

test('an upload that begins again forgets everything before it', () => {
  const other = { ...identity, part_size: 500 };
  const earlier = replayJournal([
    begun,
    chunkBegun(0, 'u'),
    chunkCompleted(0),
    { event: 'upload-begun', ...other },
  ]);
  assert.deepEqual(earlier.identity, other);
  assert.equal(earlier.chunks.size, 0);
});

test('uploads that would store the same bytes under the same keys have no differences', () => {
  assert.deepEqual(differencesOf(identity, { ...identity }), []);
});

for (const [key, [value, name]] of Object.entries({
  snapshot_uuid: [uuidOf(9), 'the snapshot'],
  parent_uuid: [null, 'the parent snapshot'],
  bucket: ['other', 'S3_BUCKET'],
  server: ['AWS eu-west-1', 'AWS_ENDPOINT_URL_S3 or AWS_REGION'],
  storage_class: ['STANDARD', 'STORAGE_CLASS_CHUNKS'],
  sse: ['none', 'SSE'],
  prefix: ['other', 'S3_PREFIX'],
  chunk_size: [1, 'CHUNK_SIZE'],
  part_size: [1, 'PART_SIZE'],
  checksums: ['md5', 'S3_CHECKSUMS'],
  compress: ['zstd', 'COMPRESS'],
  encrypt_to: ['age1x', 'ENCRYPT_TO'],
} satisfies { [Key in keyof UploadIdentity]: readonly [UploadIdentity[Key], string] })) {
  test(`uploads that differ in ${key} differ in ${name}`, () => {
    assert.deepEqual(differencesOf(identity, { ...identity, [key]: value }), [name]);
  });
}

test('what we stored in a bucket stays ours when the settings change, and is not of another bucket', () => {
  const events = [begun, chunkBegun(0, 'u'), chunkCompleted(0)];
  const own = new Map([[keyOf(0), chunkOf(0).etag]]);
  const begunWith = (change: Partial<UploadIdentity>): JournalEvent => ({
    event: 'upload-begun',
    ...identity,
    ...change,
  });
  assert.deepEqual(replayJournal([...events, begunWith({ part_size: 500 })]).own, own);
  assert.equal(replayJournal([...events, begunWith({ bucket: 'other' })]).own.size, 0);
  assert.equal(replayJournal([...events, begunWith({ server: 'other' })]).own.size, 0);
});

test('parts that the stream has shown to be of no use are forgotten, and may be stored again', () => {
  const events = [begun, chunkBegun(0, 'u'), partStored(0, 1), partStored(0, 2), partStored(0, 3)];
  const numbers = (...more: readonly JournalEvent[]) => [
    ...(replayJournal([...events, ...more])
      .chunks.get(0)
      ?.parts.keys() ?? []),
  ];
  const forgotten = { event: 'parts-forgotten', index: 0, from: 2, to: 10_000 } as const;
  assert.deepEqual(numbers(forgotten), [1]);
  assert.deepEqual(numbers({ ...forgotten, to: 2 }), [1, 3]);
  assert.deepEqual(numbers(forgotten, partStored(0, 2, 'other')), [1, 2]);
  assert.deepEqual(numbers({ ...forgotten, index: 1 }), [1, 2, 3]);
});

test('without a chunk, the others are left as they were', () => {
  const earlier = replayJournal([begun, chunkBegun(0, 'u'), partStored(0, 1), chunkCompleted(1)]);
  assert.deepEqual(withoutChunk(earlier, 1).chunks, new Map([[0, earlier.chunks.get(0)]]));
  assert.equal(withoutChunk(earlier, 7).chunks.size, 2);
});
