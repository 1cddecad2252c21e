/** What a writer of chunks finds under a key already: its own, because an answer was lost, or another one's. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { beforeEach, test } from 'node:test';
import { KeyTaken, MayNotReplace } from '../../../lib/edge/s3/conditional-write.ts';
import { startTestBucket } from '../../support/bucket.ts';
import { chunkWriting, isPut, small, threeParts } from '../../support/chunk-writing.ts';
import {
  errorAnswer,
  type ProxiedAnswer,
  type ProxiedRequest,
  withoutChecksums,
} from '../../support/faulty-proxy.ts';
import { shortenWaits } from '../../support/short-waits.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

shortenWaits();
const directory = temporaryDirectory('stored-already');
const own = await startTestBucket(join(directory, 's3'));
const { proxy, server } = own;
const { writerWith, contentOf, storeThree } = chunkWriting(own);
beforeEach(() => {
  proxy.expect();
  server.permissions.clear();
});

for (const [what, spoil, second] of [
  ['by its SHA-256', (answer: ProxiedAnswer) => answer, errorAnswer(404, 'NoSuchUpload')],
  ['by its ETag where the server keeps no SHA-256', withoutChecksums, errorAnswer(404, 'NoSuchKey')],
  ['where the server fails at the second attempt', withoutChecksums, errorAnswer(500, 'UnknownError')],
] as const) {
  test(`a chunk whose completion was answered, but not heard, is known ${what}`, async () => {
    const kit = writerWith({ StorageClass: 'STANDARD' });
    const key = `host/unheard-${what.length}`;
    const { upload, stored } = await storeThree(kit, key);
    const isCompletion = ({ method, url }: ProxiedRequest) => method === 'POST' && url.includes('uploadId=');
    proxy.expect(
      {
        matches: isCompletion,
        times: 1,
        after: (answer) => ({ ...answer, cut: { afterBytes: 0, how: 'break' } }),
      },
      // S3 answers the same again for a while; later, and other servers at once, it does not know the upload any more.
      { matches: isCompletion, before: () => second },
      { matches: ({ method }) => method === 'HEAD', after: spoil },
    );
    const object = await kit.writer.complete(upload, stored);
    assert.match(object.etag, /^"[0-9a-f]{32}-3"$/);
    assert.deepEqual(await contentOf(key), Buffer.concat(threeParts));
    proxy.expect();
    const other = stored.map((part) => ({
      ...part,
      sha256: stored[0]?.sha256 ?? '',
      etag: stored[0]?.etag ?? '',
    }));
    assert.equal(await kit.writer.findMadeOf(key, other), undefined, 'of other parts it is not made');
    await assert.rejects(kit.writer.complete(upload, other), /cannot complete .*NoSuchUpload/);
  });
}

for (const [what, spoil] of [
  ['by its SHA-256', (answer: ProxiedAnswer) => answer],
  ['by its ETag where the server keeps no SHA-256', withoutChecksums],
] as const) {
  test(`a chunk of one part that was stored, but not heard of, is known ${what}`, async () => {
    const { writer, bodyOf } = writerWith();
    const key = `host/unheard-whole-${what.length}`;
    const cut = { afterBytes: 0, how: 'break' } as const;
    proxy.expect(
      { matches: isPut, times: 1, after: (answer) => ({ ...answer, cut }) },
      { matches: ({ method }) => method === 'HEAD', after: spoil },
    );
    const stored = await writer.putWhole(key, bodyOf(small));
    assert.equal(stored.etag, `"${createHash('md5').update(small).digest('hex')}"`);
    proxy.expect();
  });
}

test('over another object nothing is stored, in one part or in several, unless it is known to be ours', async () => {
  const kit = writerWith();
  const key = 'host/taken';
  const theirs = await kit.writer.putWhole(key, kit.bodyOf(randomBytes(small.length)));
  const before = await contentOf(key);
  const { upload, stored } = await storeThree(kit, key);
  for (const replaces of [undefined, '"0123456789abcdef0123456789abcdef"']) {
    await assert.rejects(kit.writer.putWhole(key, kit.bodyOf(small), replaces), KeyTaken);
    await assert.rejects(kit.writer.complete(upload, stored, replaces), KeyTaken);
  }
  assert.deepEqual(await contentOf(key), before);
  await kit.writer.complete(upload, stored, theirs.etag);
  assert.deepEqual(await contentOf(key), Buffer.concat(threeParts));
});

test('where a policy lets nothing be replaced, our own object stays, and what is denied altogether is reported as that', async () => {
  const kit = writerWith();
  const key = 'host/kept';
  const ours = await kit.writer.putWhole(key, kit.bodyOf(randomBytes(small.length)));
  const before = await contentOf(key);
  const { upload, stored } = await storeThree(kit, key);
  const both = async (expected: assert.AssertPredicate) => {
    await assert.rejects(kit.writer.putWhole(key, kit.bodyOf(small), ours.etag), expected);
    await assert.rejects(kit.writer.complete(upload, stored, ours.etag), expected);
  };
  const create = { grant: 's3:PutObject', only: 'if-none-match' } as const;
  server.permissions.set({ allowed: [create, 's3:GetObject', 's3:ListBucket'] });
  await both(MayNotReplace);
  server.permissions.set({ denied: ['s3:PutObject'] });
  await both(/access was denied/);
  server.permissions.clear();
  assert.deepEqual(await contentOf(key), before);
});

test('what was ours and is gone is stored again', async () => {
  const kit = writerWith();
  const gone = '"0123456789abcdef0123456789abcdef"';
  const { upload, stored } = await storeThree(kit, 'host/gone-three');
  await kit.writer.complete(upload, stored, gone);
  await kit.writer.putWhole('host/gone-whole', kit.bodyOf(small), gone);
  assert.deepEqual(await contentOf('host/gone-three'), Buffer.concat(threeParts));
  assert.deepEqual(await contentOf('host/gone-whole'), small);
});

test('a server that has too much to do is not asked whether it has completed a chunk all the same', async () => {
  const kit = writerWith();
  const { upload, stored } = await storeThree(kit, 'host/busy');
  const isCompletion = ({ method, url }: ProxiedRequest) => method === 'POST' && url.includes('uploadId=');
  proxy.expect({ matches: isCompletion, times: 2, before: () => errorAnswer(503, 'SlowDown') });
  await kit.writer.complete(upload, stored);
  assert.deepEqual(
    proxy.requests.map(({ method }) => method),
    ['POST', 'POST', 'POST'],
  );
});

test('what a server stored otherwise than it was sent is ours to write over', async () => {
  const { writer, bodyOf } = writerWith();
  const spoilt = randomBytes(small.length);
  const stored = await writer.putWhole('host/spoilt-for-real', bodyOf(spoilt));
  proxy.expect(
    // The answer to what was stored above comes for the next request, as if that had been spoilt on its way.
    {
      matches: isPut,
      times: 1,
      before: () => ({ status: 200, headers: { etag: stored.etag }, body: Buffer.alloc(0) }),
    },
  );
  await writer.putWhole('host/spoilt-for-real', bodyOf(small));
  assert.equal(proxy.requests[1]?.headers['if-match'], stored.etag.replaceAll('"', ''));
  assert.deepEqual(await contentOf('host/spoilt-for-real'), small);
});
