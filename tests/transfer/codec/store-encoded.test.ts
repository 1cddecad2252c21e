/** Streams through a codec into a bucket and back: what is stored, and what can be made of it. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { beforeEach, test } from 'node:test';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { partRangesOf } from '../../../lib/core/format/frames.ts';
import type { StoredChunk } from '../../../lib/core/format/run-files.ts';
import { MIB } from '../../../lib/core/units.ts';
import { makeIdentity } from '../../support/age-keys.ts';
import { startTestBucket } from '../../support/bucket.ts';
import { encodedStreams } from '../../support/encoded-streams.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('store-encoded');
const own = await startTestBucket(join(directory, 's3'));
const { bucket, proxy } = own;
const { store, describe, fetchBack } = encodedStreams(own, directory);
const { identity, recipient } = await makeIdentity(directory, 'identity');
const codecs = {
  zstd: { zstdLevel: 3, recipients: [] },
  age: { zstdLevel: undefined, recipients: [recipient] },
  both: { zstdLevel: 1, recipients: [recipient] },
} as const;
beforeEach(() => proxy.expect());

/** Frames of 2 MiB, of which a part compresses to nothing: three of them are a part, whatever they pass. */
const mixed = (frames: number) =>
  Buffer.concat(
    Array.from({ length: frames }, () => [randomBytes(1.75 * MIB), Buffer.alloc(0.25 * MIB)]).flat(),
  );

async function contentOf({ key }: StoredChunk): Promise<Buffer> {
  const { Body } = await bucket.client.send(new GetObjectCommand({ Bucket: bucket.name, Key: key }));
  return buffer(Body as NodeJS.ReadableStream);
}

const sha256 = (bytes: Uint8Array, encoding: 'hex' | 'base64') =>
  createHash('sha256').update(bytes).digest(encoding);

for (const [codec, encoding] of Object.entries(codecs)) {
  for (const [what, stream, partSizeBytes, framesOfChunk] of [
    ['one byte', Buffer.from('x'), MIB, 3],
    ['a few bytes', Buffer.from('send-stream'), MIB, 3],
    ['one frame', randomBytes(MIB), MIB, 3],
    ['one frame and a byte', randomBytes(5 * MIB + 1), 5 * MIB, 3],
    ['several chunks of random bytes', randomBytes(10 * MIB + 123), 5 * MIB, 2],
    ['several chunks of zeros', Buffer.alloc(3 * MIB + 123), MIB, 2],
    ['several chunks of both', mixed(5), 2 * MIB, 4],
  ] as const) {
    test(`${what} through ${codec}: stored as described, and the same when they come back`, async () => {
      const { stored, error } = await store(`${codec} ${what}`, stream, {
        encoding,
        partSizeBytes,
        chunkSizeBytes: framesOfChunk * partSizeBytes,
      });
      assert.equal(error, undefined);
      assert.ok(stored);
      for (const chunk of stored.chunks) {
        const content = await contentOf(chunk);
        assert.equal(chunk.sha256, undefined, 'what its parts have is not hashed twice');
        assert.equal(chunk.size, content.length);
        const parts = partRangesOf(chunk).map(({ offset, length }) =>
          sha256(content.subarray(offset, offset + length), 'base64'),
        );
        assert.deepEqual(chunk.parts, parts);
      }
      const frames = stored.chunks.flatMap((chunk) => chunk.frames ?? []);
      assert.equal(frames.length, Math.ceil(stream.length / partSizeBytes));
      assert.equal(stored.sha256, sha256(stream, 'hex'));
      const manifest = await describe(stored, encoding, stream.length);
      // A single frame has no other to run beside.
      for (const concurrency of frames.length === 1 ? [4] : [1, 4]) {
        const back = await fetchBack(manifest, identity, concurrency);
        assert.equal(back.error, undefined);
        assert.ok(back.sunk.equals(stream));
        assert.equal(back.progress.bytes, manifest.total_bytes);
      }
    });
  }
}

test('the plain digests are those of frames and chunks, whatever was encoded of them', async () => {
  const stream = randomBytes(4 * MIB);
  const layout = { partSizeBytes: MIB, chunkSizeBytes: 3 * MIB };
  const { stored } = await store('digests', stream, { encoding: codecs.both, ...layout });
  assert.deepEqual(stored?.plainSha256s, [
    sha256(stream.subarray(0, 3 * MIB), 'hex'),
    sha256(stream.subarray(3 * MIB), 'hex'),
  ]);
  assert.deepEqual(
    stored?.chunks.flatMap(({ frames = [] }) => frames.map(({ plain_sha256 }) => plain_sha256)),
    [0, 1, 2, 3].map((at) => sha256(stream.subarray(at * MIB, (at + 1) * MIB), 'base64')),
  );
});

test('a frame of exactly the smallest part is a part; one byte less waits for the next', async () => {
  const encoding = codecs.age;
  const probe = await store('probe', randomBytes(5 * MIB), { encoding });
  const overhead = (probe.stored?.chunks[0]?.size ?? 0) - 5 * MIB;
  // 16 bytes go to each 64 KiB; one frame less of them makes no difference at this size.
  const plain = 5 * MIB - overhead;
  for (const [less, parts, sizes] of [
    [0, 3, [5 * MIB, 5 * MIB]],
    [1, 2, [10 * MIB - 2]],
  ] as const) {
    const partSizeBytes = plain - less;
    const { stored } = await store(`exact ${less}`, randomBytes(2 * partSizeBytes + 9), {
      encoding,
      partSizeBytes,
      chunkSizeBytes: 4 * partSizeBytes,
    });
    const [chunk] = stored?.chunks ?? [];
    assert.ok(chunk);
    assert.equal(chunk.parts.length, parts);
    assert.deepEqual(
      partRangesOf(chunk)
        .slice(0, -1)
        .map(({ length }) => length),
      sizes,
    );
  }
});

test('encryption alone makes parts of one size, as some servers demand', async () => {
  const { stored } = await store('equal', randomBytes(11 * MIB), { encoding: codecs.age });
  for (const chunk of stored?.chunks ?? []) {
    const sizes = partRangesOf(chunk).map(({ length }) => length);
    const [first = 0] = sizes;
    assert.equal(new Set(sizes.slice(0, -1)).size, 1);
    assert.ok((sizes.at(-1) ?? 0) <= first);
  }
});

test('an empty stream makes no object', async () => {
  const { error } = await store('empty', Buffer.alloc(0), { encoding: codecs.both });
  assert.match(String(error), /chunk 0 has no parts/);
  assert.deepEqual(
    proxy.requests.filter(({ method }) => method !== 'HEAD'),
    [],
  );
});

for (const [program, script, says] of [
  ['zstd', 'echo "zstd: no memory" >&2; exit 1', /^zstd failed with exit code 1$/],
  ['age', 'head -c 100 >/dev/null; echo "age: error: oh" >&2; exit 1', /^age failed with exit code 1$/],
  ['age', 'kill -KILL $$', /^age was killed by SIGKILL$/],
] as const) {
  test(`a ${program} that fails ends the upload with its words, and leaves no child: ${script}`, async () => {
    const fake = join(directory, 'bin');
    mkdirSync(fake, { recursive: true });
    writeFileSync(join(fake, program), `#!/bin/bash\n${script}\n`);
    chmodSync(join(fake, program), 0o755);
    const path = process.env.PATH;
    process.env.PATH = `${fake}:${path}`;
    try {
      const name = `failing ${program} ${script}`.replaceAll('/', ' ');
      const { error, sent } = await store(name, randomBytes(12 * MIB), { encoding: codecs.both });
      assert.match(error instanceof Error ? error.message : '', says);
      assert.deepEqual(sent, []);
    } finally {
      process.env.PATH = path;
      writeFileSync(join(fake, program), `#!/bin/bash\nexec /usr/bin/${program} "$@"\n`);
    }
    const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').trim();
    assert.equal(children, '');
  });
}
