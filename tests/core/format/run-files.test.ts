import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  chunksFileSchema,
  journalEventSchema,
  snapshotFileSchema,
} from '../../../lib/core/format/run-files.ts';
import { keys, uuidOf } from '../samples.ts';

const frames = [{ size: 1000, plain_size: 3000, plain_sha256: 'BBBB' }];
const part = { number: 1, size: 1000, sha256: 'AAAA', etag: '"1"', first_frame: 0, frames };
const chunk = {
  index: 0,
  key: keys.chunk('full', '20260101T000000Z', 0),
  size: 1000,
  sha256: 'a',
  etag: '"1"',
};
const storedChunk = { ...chunk, part_size: 1000, parts: ['AAAA'], checksum: 'AAAA-1', frames };
const identity = {
  snapshot_uuid: uuidOf(1),
  parent_uuid: null,
  bucket: 'backups',
  server: 'AWS eu-central-1',
  storage_class: 'DEEP_ARCHIVE',
  sse: 'AES256',
  prefix: 'nas',
  chunk_size: 5_242_880,
  part_size: 5_242_880,
  compress: 'zstd',
  encrypt_to: 'age1x',
} as const;
/** Fields that an event may lack. */
const optional: Readonly<Record<string, readonly string[]>> = {
  'upload-begun': ['compress', 'encrypt_to'],
  'part-stored': ['first_frame', 'frames'],
  'chunk-completed': ['checksum', 'sha256', 'frames'],
};
const events = [
  { event: 'upload-begun', ...identity },
  { event: 'chunk-begun', index: 0, key: chunk.key, upload_id: 'u1' },
  { event: 'part-stored', index: 0, ...part },
  { event: 'parts-forgotten', index: 0, from: 2, to: 10_000 },
  { event: 'chunk-completed', ...storedChunk },
];

for (const event of events) {
  test(`the journal's event ${event.event} comes back as it was written`, () => {
    assert.deepEqual(journalEventSchema.parse(JSON.parse(JSON.stringify(event))), event);
  });
  test(`the journal's event ${event.event} needs each of its fields`, () => {
    const needed = Object.keys(event).filter((name) => !optional[event.event]?.includes(name));
    for (const field of needed) {
      const { [field as keyof typeof event]: _, ...rest } = event;
      assert.equal(journalEventSchema.safeParse(rest).success, false, field);
    }
  });
}

test('a journal of a version without a codec is one of an upload without', () => {
  const { compress: _, encrypt_to: __, ...old } = identity;
  const event = { event: 'upload-begun', ...old };
  assert.deepEqual(journalEventSchema.parse(event), { ...event, compress: 'none', encrypt_to: '' });
});

test('an event that is not known is refused', () => {
  assert.equal(journalEventSchema.safeParse({ ...events[0], event: 'upload-ended' }).success, false);
});

/** As the first stage leaves it; of a snapshot of ours. */
const ownFile = {
  subvolume: 'data',
  kind: 'full',
  created_at: '20260101T000000Z',
  snapshot: {
    name: 'data__20260101T000000Z__full',
    path: '/snapshots/data__20260101T000000Z__full',
    uuid: uuidOf(1),
    parent_uuid: null,
    received_uuid: null,
    generation: 7,
  },
  parent: null,
  pointer_etag: null,
  started_at: '2026-01-01T00:00:00Z',
};

test('a full backup has no parent and the first one no ETag in its snapshot.json', () => {
  assert.deepEqual(snapshotFileSchema.parse(ownFile), ownFile);
  const { pointer_etag: _, ...withoutEtag } = ownFile;
  assert.equal(snapshotFileSchema.safeParse(withoutEtag).success, false);
});

test('a snapshot.json names a snapshot of our own, or says that it is adopted', () => {
  const snapshot = { ...ownFile.snapshot, name: 'snapshot', path: '/home/.snapshots/1/snapshot' };
  const file = { ...ownFile, adopted: true, snapshot };
  assert.deepEqual(snapshotFileSchema.parse(file), file);
  const { adopted: _, ...ours } = file;
  const elsewhere = { ...file, snapshot: { ...file.snapshot, path: '/home/.snapshots/1/other' } };
  for (const wrong of [ours, { ...file, adopted: false }, elsewhere]) {
    assert.equal(snapshotFileSchema.safeParse(wrong).success, false);
  }
});

test('a chunks.json without a chunk is not a whole upload', () => {
  const file = {
    identity,
    chunks: [storedChunk],
    chunk_size: 5_242_880,
    stream: { bytes: 1000, sha256: 'a', protocol: 1, compressed_data: false },
    started_at: '2026-01-01T00:00:00Z',
    finished_at: '2026-01-01T00:01:00Z',
  };
  assert.deepEqual(chunksFileSchema.parse(file), file);
  assert.equal(chunksFileSchema.safeParse({ ...file, chunks: [] }).success, false);
  const { sha256: _, ...stream } = file.stream;
  const encrypted = { ...file, stream, sealed: 'AAAA', programs: { age: '1.1.1' } };
  assert.deepEqual(chunksFileSchema.parse(encrypted), encrypted);
});
