import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, test } from 'node:test';
import { exitCodeOf, type ToolError } from '../../../lib/core/errors.ts';
import { writeText } from '../../../lib/edge/s3/documents.ts';
import { plainWrite, startTestBucket } from '../../support/bucket.ts';
import { errorAnswer, type ProxiedRequest } from '../../support/faulty-proxy.ts';
import { shortenWaits } from '../../support/short-waits.ts';
import { stageContext } from '../../support/stage-context.ts';
import {
  content,
  fetchManifest,
  keys,
  partSize,
  storedStreams,
  withChunk,
} from '../../support/stored-streams.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

shortenWaits();
const directory = temporaryDirectory('fetch-stream');
const spool = join(directory, 'spool');
mkdirSync(spool);
const own = await startTestBucket(join(directory, 's3'));
const { bucket, proxy, retries } = own;
const { store, fetchInto, flipOnTheWay, readings } = storedStreams(own, spool);
beforeEach(() => proxy.expect());

test('what arrives is the stream, in order, whatever the concurrency and the speed of the sink', async () => {
  const chunks = [content(95_000), content(30_000), content(10_000), content(1)];
  const manifest = await store(chunks, true);
  for (const [concurrency, slow] of [
    [1, false],
    [2, true],
    [16, false],
  ] as const) {
    const { fetched, sunk, progress } = await fetchInto(manifest, { concurrency, slow });
    assert.deepEqual(fetched, { sha256: manifest.stream?.sha256 });
    assert.ok(sunk.equals(Buffer.concat(chunks)));
    assert.equal(progress.bytes, 135_001);
  }
});

for (const place of [1, 4, 10]) {
  test(`with a wrong byte in part ${place} of 10 the sink gets the parts before it, and not one byte more`, async () => {
    const [first, second] = [content(25_000), content(95_000)];
    const manifest = await store([first, second], true);
    const wrong = Buffer.from(second);
    wrong[(place - 1) * partSize] = (wrong[(place - 1) * partSize] ?? 0) ^ 1;
    await writeText(bucket, manifest.chunks[1]?.key ?? '', wrong.toString('latin1'), plainWrite);
    const { error, sunk } = await fetchInto(manifest);
    assert.equal(
      error?.message,
      `chunk ${manifest.chunks[1]?.key} is damaged: part ${place} is not what was uploaded`,
    );
    assert.equal(exitCodeOf(error), 4);
    assert.ok(sunk.equals(Buffer.concat([first, second.subarray(0, (place - 1) * partSize)])));
  });
}

for (const [times, place] of [
  [1, 0],
  [2, 1],
  [4, 2],
] as const) {
  test(`a part that changes on its way ${times} times is read again, and what arrives is the stream`, async () => {
    const chunks = [content(20_000), content(25_000)];
    const manifest = await store(chunks, true);
    const range = `bytes=${place * partSize}-${Math.min(place * partSize + partSize, 25_000) - 1}`;
    flipOnTheWay(range, times, 'another');
    const { fetched, sunk, progress, warnings } = await fetchInto(manifest);
    assert.equal(fetched?.sha256, manifest.stream?.sha256);
    assert.ok(sunk.equals(Buffer.concat(chunks)), 'what arrived is the stream');
    assert.equal(progress.bytes, 45_000);
    assert.equal(warnings.length, times);
    assert.match(warnings[0] ?? '', /^part \d of host.* is not what was uploaded: reading it again$/);
  });
}

test('a part that arrives twice with the same wrong bytes lies so in the bucket; one that never settles is given up', async () => {
  const manifest = await store([content(25_000)], true);
  for (const [which, expected] of [
    ['the same', 2],
    ['another', 5],
  ] as const) {
    flipOnTheWay('bytes=10000-19999', 1000, which);
    const { error, sunk } = await fetchInto(manifest);
    assert.match(error?.message ?? '', /is damaged: part 2 is not what was uploaded/);
    assert.equal(sunk.length, 10_000);
    assert.equal(readings('bytes=10000-19999'), expected, which);
  }
});

test('parts that are right in a chunk that is not are found out before its last part is handed on', async () => {
  const data = content(25_000);
  const manifest = withChunk(await store([data], true), 0, { sha256: 'a'.repeat(64) });
  const { error, sunk } = await fetchInto(manifest);
  assert.match(error?.message ?? '', /chunk .* is damaged: its SHA-256 is not that of the manifest/);
  assert.ok(sunk.equals(data.subarray(0, 20_000)));
});

test('chunks that are right in a stream that is not are an error at its end', async () => {
  const manifest = await store([content(100)], true);
  const stream = { bytes: 100, sha256: 'b'.repeat(64), protocol: 1, compressed_data: false };
  const { error } = await fetchInto({ ...manifest, stream });
  assert.match(error?.message ?? '', /the stream of data .* is damaged: its SHA-256/);
  assert.equal(exitCodeOf(error), 4);
});

test('a missing chunk and a shorter one are errors that name it', async () => {
  const manifest = await store([content(25_000)], true);
  const missing = withChunk(manifest, 0, { key: keys.chunk('full', '20260101T020000Z', 99_999) });
  const { error, sunk } = await fetchInto(missing);
  assert.match(error?.message ?? '', /chunk-.*-99999\.bin: the object is missing/);
  assert.equal(exitCodeOf(error), 4);
  assert.equal(sunk.length, 0);
  await writeText(bucket, manifest.chunks[0]?.key ?? '', 'short', plainWrite);
  assert.ok((await fetchInto(manifest)).error);
});

test('a part that fails for a moment is fetched again, with a warning, and counted once', async () => {
  const data = content(25_000);
  const manifest = await store([data], true);
  const cut = { afterBytes: 100, how: 'break' } as const;
  const isSecond = ({ headers }: ProxiedRequest) => headers.range === 'bytes=10000-19999';
  proxy.expect({ matches: isSecond, times: 1, after: (answer) => ({ ...answer, cut }) });
  retries.length = 0;
  const { sunk, progress } = await fetchInto(manifest);
  assert.ok(sunk.equals(data));
  assert.equal(retries.length, 1);
  assert.match(retries[0] ?? '', /^1: read host\/subvol\//);
  assert.equal(progress.bytes, 25_000);
});

test('a failure of the sink is what comes out, and nothing is fetched for long after it', async () => {
  const manifest = await store([content(95_000)], true);
  const { context } = stageContext(bucket, { CONCURRENCY: '2' });
  const sink = async () => {
    throw new Error('btrfs receive is gone');
  };
  await assert.rejects(
    fetchManifest(context, manifest, sink, context.startProgress('')),
    /btrfs receive is gone/,
  );
  assert.ok(proxy.requests.length <= 5, `${proxy.requests.length} requests`);
});

test('it has not ended before the sink has taken the last part, and fails with it', async () => {
  const manifest = await store([content(25_000)], true);
  const { context } = stageContext(bucket, { CONCURRENCY: '4' });
  let taken = 0;
  const sink = async () => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    taken++;
    if (taken === 3) throw new Error('the last part was not written');
  };
  await assert.rejects(
    fetchManifest(context, manifest, sink, context.startProgress('')),
    /the last part was/,
  );
  assert.equal(taken, 3);
});

test('one part at a time reaches the sink', async () => {
  const manifest = await store([content(95_000), content(35_000)], true);
  const { context } = stageContext(bucket, { CONCURRENCY: '4' });
  let [under, most] = [0, 0];
  const sink = async () => {
    most = Math.max(most, ++under);
    await new Promise((resolve) => setTimeout(resolve, 5));
    under--;
  };
  await fetchManifest(context, manifest, sink, context.startProgress(''));
  assert.deepEqual([under, most], [0, 1]);
});

test('an abort ends it with its reason', async () => {
  const manifest = await store([content(95_000)], true);
  const ending = new AbortController();
  const { context } = stageContext(bucket, {}, ending.signal);
  const sink = async () => ending.abort(new Error('enough'));
  await assert.rejects(fetchManifest(context, manifest, sink, context.startProgress('')), (error: Error) =>
    /enough|Abort/.test(`${error.name} ${error.message}`),
  );
});

test('a range that has gone cold is waited for, and read again', async () => {
  const data = content(35_000);
  const manifest = await store([data], true);
  const { context } = stageContext(bucket, { CONCURRENCY: '2' });
  proxy.expect({
    matches: ({ headers }) => headers.range === 'bytes=10000-19999',
    times: 1,
    before: () => errorAnswer(403, 'InvalidObjectState'),
  });
  const thawed: string[] = [];
  const sunk: Buffer[] = [];
  const sink = async (bytes: Uint8Array) => void sunk.push(Buffer.from(bytes));
  await fetchManifest(context, manifest, sink, context.startProgress(''), {
    thawAgain: async (key) => void thawed.push(key),
  });
  assert.deepEqual(thawed, [manifest.chunks[0]?.key]);
  assert.equal(Buffer.concat(sunk).equals(data), true);
});

test('what the bucket calls thawed and never gives ends the fetch', async () => {
  const manifest = await store([content(10)], true);
  const { context } = stageContext(bucket);
  proxy.expect({
    matches: ({ method, url }) => method === 'GET' && url.includes('.bin'),
    before: () => errorAnswer(403, 'InvalidObjectState'),
  });
  let thaws = 0;
  const thawAgain = async () => void thaws++;
  await assert.rejects(
    fetchManifest(context, manifest, async () => undefined, context.startProgress(''), { thawAgain }),
    (error: ToolError) => exitCodeOf(error) === 5,
  );
  assert.equal(thaws, 3);
});
