/** An upload through a codec that was stopped, and resumes: nothing is encoded or sent again that the bucket has. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, test } from 'node:test';
import { partRangesOf } from '../../../lib/core/format/frames.ts';
import { replayJournal } from '../../../lib/core/plan/resume.ts';
import { MIB } from '../../../lib/core/units.ts';
import { readJournal } from '../../../lib/edge/files/journal.ts';
import { abortUpload } from '../../../lib/edge/s3/multipart-uploads.ts';
import { makeIdentity } from '../../support/age-keys.ts';
import { startTestBucket } from '../../support/bucket.ts';
import { encodedStreams, type StoreOptions } from '../../support/encoded-streams.ts';
import type { ProxiedRequest } from '../../support/faulty-proxy.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('resume-encoded');
const own = await startTestBucket(join(directory, 's3'));
const { bucket, proxy } = own;
const { store, describe, fetchBack, journalPath } = encodedStreams(own, directory);
const { identity, recipient } = await makeIdentity(directory, 'identity');
beforeEach(() => proxy.expect());

/** What starts programs for each frame takes most of the time here, so age alone is what most of these streams pass. */
const age = { zstdLevel: undefined, recipients: [recipient] };
const both = { zstdLevel: 1, recipients: [recipient] };

/** Two frames are a part; a chunk of three has a part of two and one of one. */
const frameBytes = 2.5 * MIB;
const chunkBytes = 3 * frameBytes;
const options = { encoding: age, partSizeBytes: frameBytes, chunkSizeBytes: chunkBytes };
const stream = randomBytes(3 * chunkBytes);
const allParts = ['0/1', '0/2', '1/1', '1/2', '2/1', '2/2'];

/** Three frames are a part; a chunk of seven has parts of three, three and one. */
const smallFrameBytes = 1.75 * MIB;
const longChunk = stream.subarray(0, 7 * smallFrameBytes);
const long = { encoding: age, partSizeBytes: smallFrameBytes, chunkSizeBytes: longChunk.length };

const chunksOf = async (name: string) => replayJournal(await readJournal(journalPath(name))).chunks;

/** What the journal says is in the bucket, as `chunk/part`. */
async function journalled(name: string): Promise<readonly string[]> {
  const chunks = await chunksOf(name);
  return [...chunks]
    .flatMap(([index, { parts }]) => [...parts.keys()].map((part) => `${index}/${part}`))
    .sort();
}

async function proveIs(name: string, bytes: Buffer, how: StoreOptions = options) {
  const { stored, encoded, sent } = await store(name, bytes, how);
  assert.ok(stored);
  assert.deepEqual([encoded, sent], [0, []], 'what is complete is neither encoded nor sent');
  const back = await fetchBack(await describe(stored, how.encoding, bytes.length), identity);
  assert.equal(back.error, undefined);
  assert.ok(back.sunk.equals(bytes));
  return stored;
}

for (const parts of [1, 2, 3, 4, 5]) {
  test(`stopped after ${parts} of 6 parts, it sends the others and no more`, async () => {
    const name = `stopped ${parts}`;
    const first = await store(name, stream, { ...options, stopAfterParts: parts });
    assert.match(String(first.error), /killed/);
    const kept = await journalled(name);
    assert.ok(kept.length >= parts, kept.join());
    const second = await store(name, stream, options);
    assert.equal(second.error, undefined);
    assert.deepEqual([...kept, ...second.sent].sort(), allParts);
    const frames = second.sent.reduce((sum, part) => sum + (part.endsWith('/2') ? 1 : 2), 0);
    assert.equal(second.encoded, frames);
    await proveIs(name, stream);
  });
}

test('many stops, each after one more part', async () => {
  const how = { ...options, encoding: both };
  for (let stops = 0; stops < 5; stops++) {
    const before = await journalled('stops');
    const { error, sent } = await store('stops', stream, { ...how, concurrency: 1, stopAfterParts: 1 });
    assert.match(String(error), /killed/);
    assert.deepEqual(
      sent.filter((part) => before.includes(part)),
      [],
    );
  }
  await store('stops', stream, how);
  await proveIs('stops', stream, how);
});

/** The run of a name in which one part of a chunk does not get through, and the others do. */
async function withGap(name: string, part: 1 | 2 | 3, how: StoreOptions = long) {
  const isStuck = ({ url }: ProxiedRequest) => url.includes(`partNumber=${part}&`);
  proxy.expect({ matches: isStuck, before: () => new Promise<never>(() => undefined) });
  const outcome = await store(name, longChunk, { ...how, concurrency: 4, stopAfterParts: 2 });
  assert.match(String(outcome.error), /killed/);
  proxy.expect();
  return journalled(name);
}

test('a part that is missing among others is the only one that is sent', async () => {
  assert.deepEqual(await withGap('gap', 2), ['0/1', '0/3']);
  const { sent, encoded } = await store('gap', longChunk, long);
  assert.deepEqual([sent, encoded], [['0/2'], 3]);
  await proveIs('gap', longChunk, long);
});

test('where frames have other sizes by now, the parts behind a gap are sent again, and fit', async () => {
  const how = { ...long, encoding: both };
  assert.deepEqual(await withGap('sizes', 1, how), ['0/2', '0/3']);
  // As if another version of zstd made the frames larger, by two thirds: then two of them are a part.
  const fake = join(directory, 'bin');
  mkdirSync(fake);
  const script = '#!/bin/bash\n/usr/bin/zstd "$@" && head -c 1400000 /dev/urandom\n';
  writeFileSync(join(fake, 'zstd'), script, { mode: 0o755 });
  const path = process.env.PATH;
  process.env.PATH = `${fake}:${path}`;
  const { stored, lost, sent, error } = await store('sizes', longChunk, how).finally(() => {
    process.env.PATH = path;
  });
  assert.equal(error, undefined);
  assert.match(lost.join('; '), /chunk 0 differs in the sizes of the frames before part 2/);
  assert.deepEqual([...new Set(sent)], ['0/1', '0/2', '0/3', '0/4']);
  const sizes = partRangesOf(stored?.chunks[0] ?? assert.fail()).map(({ length }) => length);
  assert.equal(sizes.length, 4);
  for (const size of sizes.slice(0, -1)) assert.ok(size >= 5 * MIB);
});

test('a chunk whose completion no one heard of is known again', async () => {
  await store('unheard', stream, options);
  const lines = readFileSync(journalPath('unheard'), 'utf8').split('\n');
  const heard = lines.filter((line) => !line.includes('chunk-completed'));
  writeFileSync(journalPath('unheard'), heard.join('\n'));
  const { encoded, sent, stored } = await store('unheard', stream, options);
  assert.deepEqual([encoded, sent], [0, []]);
  assert.equal(stored?.chunks.length, 3);
  await proveIs('unheard', stream);
});

test('an upload that the server no longer knows is begun anew, and everything is sent', async () => {
  await store('aborted', stream, { ...options, stopAfterParts: 1 });
  for (const { key, uploadId = '' } of (await chunksOf('aborted')).values()) {
    await abortUpload(bucket, { key, uploadId });
  }
  const { lost, sent } = await store('aborted', stream, options);
  assert.match(lost[0] ?? '', /-00000\.bin was ended/);
  assert.equal(sent.length, 6);
  await proveIs('aborted', stream);
});

/** The bytes with one frame changed. */
function changed(original: Buffer, frame: number, { partSizeBytes = 0 }: StoreOptions): Buffer {
  const bytes = Buffer.from(original);
  randomBytes(partSizeBytes).copy(bytes, frame * partSizeBytes);
  return bytes;
}

for (const [what, frame, part] of [
  ['the first frame of a part', 0, '0/1'],
  ['a later frame of a part', 1, '0/1'],
  ['the last frame of a part', 2, '0/1'],
  ['the only frame of a part', 6, '0/3'],
] as const) {
  test(`when ${what} has changed before its chunk is complete, that part is sent again, and none that is right`, async () => {
    const name = `changed ${frame}`;
    assert.deepEqual(await withGap(name, 2), ['0/1', '0/3']);
    const bytes = changed(longChunk, frame, long);
    const { sent, error } = await store(name, bytes, long);
    assert.equal(error, undefined);
    assert.deepEqual([...new Set(sent)].sort(), [part, '0/2'].sort());
    await proveIs(name, bytes, long);
  });
}

for (const [what, frame, says] of [
  ['the first frame', 0, /the stream has changed: .*-00000\.bin is sent again/],
  ['a later frame', 2, /chunk 0 differs in frame 3/],
] as const) {
  test(`when ${what} of a complete chunk has changed, the chunk is sent again, and no other`, async () => {
    const name = `complete ${frame}`;
    await store(name, stream, options);
    const bytes = changed(stream, frame, options);
    const { sent, lost, error } = await store(name, bytes, options);
    assert.equal(error, undefined);
    assert.match(lost.join('; '), says);
    assert.deepEqual([...new Set(sent)], ['0/1', '0/2']);
    await proveIs(name, bytes);
  });
}

test('a stream that has become shorter, or longer, ends where it ends', async () => {
  const twoChunks = stream.subarray(0, 2 * chunkBytes);
  for (const [name, bytes] of [
    ['shorter', stream.subarray(0, chunkBytes + MIB)],
    ['longer', stream.subarray(0, 2 * chunkBytes + frameBytes)],
  ] as const) {
    await store(name, twoChunks, options);
    const { error } = await store(name, bytes, options);
    assert.equal(error, undefined);
    await proveIs(name, bytes);
  }
});
