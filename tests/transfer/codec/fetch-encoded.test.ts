/** Encoded backups that are not what they say: whatever was exchanged or damaged is found before the sink gets a byte of it. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { ToolError } from '../../../lib/core/errors.ts';
import { partRangesOf } from '../../../lib/core/format/frames.ts';
import type { Manifest, ManifestChunk } from '../../../lib/core/format/manifest.ts';
import { KIB, MIB } from '../../../lib/core/units.ts';
import { encodingSteps } from '../../../lib/edge/codec/steps.ts';
import { runProgram } from '../../../lib/edge/process/run-program.ts';
import { makeIdentity } from '../../support/age-keys.ts';
import { startTestBucket } from '../../support/bucket.ts';
import { encodedStreams } from '../../support/encoded-streams.ts';
import { stageContext } from '../../support/stage-context.ts';
import { fetchManifest } from '../../support/stored-streams.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('fetch-encoded');
const own = await startTestBucket(join(directory, 's3'));
const { bucket, proxy } = own;
const { store, describe, fetchBack } = encodedStreams(own, directory);
const { identity, recipient } = await makeIdentity(directory, 'identity');
const { identity: stranger } = await makeIdentity(directory, 'stranger');

const both = { zstdLevel: 1, recipients: [recipient] };
const zstd = { zstdLevel: 1, recipients: [] };
const frameBytes = 100 * KIB;
const layout = { partSizeBytes: frameBytes, chunkSizeBytes: 3 * frameBytes };

/** A backup of two chunks of three frames each. */
async function backUp(name: string, encoding: typeof both | typeof zstd = both) {
  const stream = randomBytes(6 * frameBytes);
  const { stored } = await store(name, stream, { encoding, ...layout });
  assert.ok(stored);
  return { stream, manifest: await describe(stored, encoding, stream.length) };
}

async function contentOf({ key }: ManifestChunk): Promise<Buffer> {
  const { Body } = await bucket.client.send(new GetObjectCommand({ Bucket: bucket.name, Key: key }));
  return buffer(Body as NodeJS.ReadableStream);
}

const put = (Key: string, Body: Buffer) =>
  bucket.client.send(new PutObjectCommand({ Bucket: bucket.name, Key, Body }));

const chunkOf = (manifest: Manifest, index: number) => manifest.chunks[index] ?? assert.fail();

/** The manifest with other content in its first chunk, which lies in the bucket, and with hashes that fit it. */
async function withContent(
  manifest: Manifest,
  content: Buffer,
  change: Partial<ManifestChunk> = {},
): Promise<Manifest> {
  const [first, ...rest] = manifest.chunks;
  assert.ok(first);
  await put(first.key, content);
  const { sha256: _, ...chunk } = { ...first, ...change, size: content.length };
  const parts = partRangesOf(chunk).map(({ offset, length }) =>
    createHash('sha256')
      .update(content.subarray(offset, offset + length))
      .digest('base64'),
  );
  return { ...manifest, chunks: [{ ...chunk, parts }, ...rest] };
}

async function refusal(manifest: Manifest, key = identity) {
  const { error, sunk } = await fetchBack(manifest, key, 3);
  assert.ok(error instanceof ToolError, String(error));
  return { kind: error.kind, message: error.message, sunk };
}

test("the chunk of another backup in place of one's own is damage", async () => {
  const [a, b] = [await backUp('chunk a'), await backUp('chunk b')];
  await put(chunkOf(a.manifest, 0).key, await contentOf(chunkOf(b.manifest, 0)));
  const { kind, message, sunk } = await refusal(a.manifest);
  assert.deepEqual([kind, sunk.length], ['damage', 0]);
  assert.match(message, /part 1 is not what was uploaded/);
});

test('the chunk of another backup is damage, although the manifest says that it is its own', async () => {
  const [a, b] = [await backUp('claimed a'), await backUp('claimed b')];
  const theirs = chunkOf(b.manifest, 0);
  const forged = await withContent(a.manifest, await contentOf(theirs), { frames: theirs.frames });
  const { kind, message, sunk } = await refusal(forged);
  assert.deepEqual([kind, sunk.length], ['damage', 0]);
  assert.match(message, /frame 1 does not hold what was backed up/);
});

test('frames in another order are damage, and so are those of another chunk', async () => {
  const { manifest } = await backUp('order');
  const first = chunkOf(manifest, 0);
  const content = await contentOf(first);
  const size = first.frames?.[0]?.size ?? 0;
  const swapped = Buffer.concat([
    content.subarray(size, 2 * size),
    content.subarray(0, size),
    content.subarray(2 * size),
  ]);
  assert.match((await refusal(await withContent(manifest, swapped))).message, /frame 1 does not hold/);
  const second = await contentOf(chunkOf(manifest, 1));
  const mixed = Buffer.concat([content.subarray(0, size), second.subarray(size)]);
  const { kind, message, sunk } = await refusal(await withContent(manifest, mixed));
  assert.equal(kind, 'damage');
  assert.match(message, /frame 2 does not hold/);
  assert.ok(sunk.length <= frameBytes);
});

test('an encoded chunk that an earlier version gave a hash of its own is held to it', async () => {
  const { manifest, stream } = await backUp('own hash');
  const [first, ...rest] = manifest.chunks;
  assert.ok(first);
  const withHash = (sha256: string) => ({ ...manifest, chunks: [{ ...first, sha256 }, ...rest] });
  const right = createHash('sha256')
    .update(await contentOf(first))
    .digest('hex');
  const back = await fetchBack(withHash(right), identity);
  assert.equal(back.error, undefined);
  assert.ok(back.sunk.equals(stream));
  const { kind, message } = await refusal(withHash('0'.repeat(64)));
  assert.equal(kind, 'damage');
  assert.match(message, /its SHA-256 is not that of the manifest/);
});

test('a sealed list of digests is that of one backup alone', async () => {
  const [a, b] = [await backUp('sealed a'), await backUp('sealed b')];
  const { sealed = '' } = b.manifest;
  const asA = { ...b.manifest, snapshot: { ...b.manifest.snapshot, uuid: null } };
  for (const forged of [
    { ...asA, sealed },
    { ...a.manifest, sealed, subvolume: 'home' },
  ]) {
    const { kind, message } = await refusal(forged);
    assert.equal(kind, 'damage');
    assert.match(message, /its sealed digests are of another backup/);
  }
  // Alike but for its content: the digests are what differs.
  const { message, sunk } = await refusal({ ...a.manifest, sealed });
  assert.match(message, /frame 1 does not hold what was backed up/);
  assert.equal(sunk.length, 0);
});

test('a frame that was left out is missed', async () => {
  const { manifest } = await backUp('left out');
  const chunk = chunkOf(manifest, 0);
  const frames = chunk.frames?.slice(0, 2) ?? [];
  const content = (await contentOf(chunk)).subarray(0, frames.length * (frames[0]?.size ?? 0));
  const { kind, message } = await refusal(await withContent(manifest, content, { frames }));
  assert.equal(kind, 'damage');
  assert.match(message, /its sealed digests are of other chunks or frames/);
});

for (const [plain_size, says] of [
  [frameBytes - 1, /frame 1 holds more bytes instead of 102399/],
  [frameBytes + 1, /frame 1 holds 102400 bytes instead of 102401/],
] as const) {
  test(`a frame that holds ${frameBytes} bytes, and has to hold ${plain_size}, is damage`, async () => {
    const { manifest } = await backUp(`plain ${plain_size}`, zstd);
    const frames = chunkOf(manifest, 0).frames?.map((frame, index) =>
      index === 0 ? { ...frame, plain_size } : frame,
    );
    const { kind, message, sunk } = await refusal(
      await withContent(manifest, await contentOf(chunkOf(manifest, 0)), { frames }),
    );
    assert.deepEqual([kind, sunk.length], ['damage', 0]);
    assert.match(message, says);
  });
}

test('a frame that would become gigabytes is ended where it should have ended', async () => {
  const { manifest } = await backUp('bomb', zstd);
  const [step] = encodingSteps(zstd, 300 * MIB);
  assert.ok(step);
  const bomb = await runProgram(step, Buffer.alloc(300 * MIB));
  const frames = [{ size: bomb.length, plain_size: frameBytes }];
  const { message } = await refusal(await withContent(manifest, bomb, { frames }));
  assert.match(message, /frame 1 holds more bytes instead of 102400/);
});

for (const [what, encoding, program] of [
  ['compressed', zstd, 'zstd'],
  ['encrypted', both, 'age'],
] as const) {
  test(`${what}: a frame that ${program} cannot read is damage, with its words`, async () => {
    const { manifest } = await backUp(`junk ${what}`, encoding);
    const chunk = chunkOf(manifest, 0);
    const content = await contentOf(chunk);
    content.writeUInt8(content.readUInt8(300) ^ 1, 300);
    const { error, sunk } = await fetchBack(await withContent(manifest, content), identity);
    assert.ok(error instanceof ToolError);
    assert.deepEqual([error.kind, sunk.length], ['damage', 0]);
    assert.match(error.message, new RegExp(`frame 1 cannot be decoded: ${program} failed with exit code 1`));
    assert.match(error.childOutput ?? '', /error/i);
  });
}

test('other content of a compressed backup is found at its end at the latest', async () => {
  const [a, b] = [await backUp('zstd a', zstd), await backUp('zstd b', zstd)];
  const theirs = chunkOf(b.manifest, 0);
  const { kind, message } = await refusal(
    await withContent(a.manifest, await contentOf(theirs), { frames: theirs.frames }),
  );
  assert.equal(kind, 'damage');
  assert.match(
    message,
    /the stream of data 20260101T020000Z is damaged: its SHA-256 is not that of the manifest/,
  );
});

test('without the identity of a recipient nothing is fetched', async () => {
  const { manifest } = await backUp('stranger');
  proxy.expect();
  const { kind, message } = await refusal(manifest, stranger);
  assert.equal(kind, 'usage');
  assert.match(message, /does not open the backup of data of 20260101T020000Z$/);
  assert.deepEqual(proxy.requests, []);
});

test('a part that changes on its way is read again, and decoded when it is right', async () => {
  const { manifest, stream } = await backUp('flipped');
  proxy.expect({
    matches: ({ method, headers }) => method === 'GET' && headers.range !== undefined,
    times: 1,
    after: (answer) => {
      const body = Buffer.from(answer.body);
      body.writeUInt8(body.readUInt8(0) ^ 1, 0);
      return { ...answer, body };
    },
  });
  const { error, sunk } = await fetchBack(manifest, identity);
  assert.equal(error, undefined);
  assert.ok(sunk.equals(stream));
});

test('a sink that fails, and one that is stopped, end it with their reason, and nothing is left running', async () => {
  const { manifest } = await backUp('sinks');
  const ending = new AbortController();
  for (const [signal, sink, says] of [
    [undefined, async () => Promise.reject(new Error('btrfs receive is gone')), /btrfs receive is gone/],
    [ending.signal, async () => ending.abort(new Error('enough')), /enough|Abort/],
  ] as const) {
    const { context } = stageContext(bucket, { CONCURRENCY: '2', DECRYPT_WITH: identity }, signal);
    await assert.rejects(fetchManifest(context, manifest, sink, context.startProgress('')), (error: Error) =>
      says.test(`${error.name} ${error.message}`),
    );
    await context.memory.close();
  }
});
