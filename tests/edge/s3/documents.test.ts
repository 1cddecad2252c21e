import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { exitCodeOf, type ToolError } from '../../../lib/core/errors.ts';
import { readDocument, writeDocument, writeText } from '../../../lib/edge/s3/documents.ts';
import { headObject } from '../../../lib/edge/s3/objects.ts';
import { openTestBucket, plainWrite, startTestBucket } from '../../support/bucket.ts';
import { errorAnswer, type ProxiedAnswer, withoutChecksums } from '../../support/faulty-proxy.ts';
import { putAs } from '../../support/put-as.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('documents');
const { bucket, server, proxy, retries } = await startTestBucket(join(directory, 's3'), { CONCURRENCY: '1' });

const write = (key: string, text: string, precondition: Parameters<typeof writeDocument>[4]) =>
  writeDocument(bucket, key, text, plainWrite, precondition);

test('a document is read as it was written, under its ETag', async () => {
  assert.equal(await write('host/a.json', '{"text":"ümläut"}\n', { absent: true }), true);
  const document = await readDocument(bucket, 'host/a.json', 1000);
  assert.equal(document?.text, '{"text":"ümläut"}\n');
  assert.match(document?.etag ?? '', /^"[0-9a-f]{32}"$/);
});

test('a document that is not there is undefined', async () => {
  assert.equal(await readDocument(bucket, 'host/none.json', 1000), undefined);
});

test('who may list below the prefix only gets 403 for a missing key, and finds out that it is missing', async () => {
  await write('host/there.json', 'x', { absent: true });
  server.permissions.set({ allowed: ['s3:GetObject host/there.json.*', 's3:ListBucket host/*'] });
  try {
    assert.equal(await readDocument(bucket, 'host/there.jso', 1000), undefined);
    assert.equal(await headObject(bucket, 'host/there.jso'), undefined);
    await assert.rejects(readDocument(bucket, 'host/there.json', 1000), /access was denied/);
    await assert.rejects(headObject(bucket, 'host/there.json'), /access was denied/);
    await assert.rejects(readDocument(bucket, 'other/none.json', 1000), /access was denied/);
  } finally {
    server.permissions.clear();
  }
});

test('of two that write where there was nothing one loses, and the first document stays', async () => {
  const outcomes = await Promise.all(
    ['one', 'two'].map((text) => write('host/race.json', text, { absent: true })),
  );
  assert.deepEqual([...outcomes].sort(), [false, true]);
  const winner = outcomes[0] ? 'one' : 'two';
  assert.equal((await readDocument(bucket, 'host/race.json', 1000))?.text, winner);
  assert.equal(await write('host/race.json', 'three', { absent: true }), false);
  assert.equal((await readDocument(bucket, 'host/race.json', 1000))?.text, winner);
});

test('over a document only who has read its last version writes', async () => {
  await write('host/pointer.json', 'first', { absent: true });
  const seen = (await readDocument(bucket, 'host/pointer.json', 1000))?.etag ?? '';
  assert.equal(await write('host/pointer.json', 'second', { etag: seen }), true);
  assert.equal(await write('host/pointer.json', 'third', { etag: seen }), false);
  assert.equal((await readDocument(bucket, 'host/pointer.json', 1000))?.text, 'second');
});

test('over a document that is gone no one writes who has read it', async () => {
  assert.equal(await write('host/gone.json', 'x', { etag: '"0123"' }), false);
  assert.equal(await readDocument(bucket, 'host/gone.json', 1000), undefined);
});

test('an ETag goes into the condition without its quotes', async () => {
  proxy.expect();
  await write('host/pointer.json', 'x', { etag: '"0123"' });
  assert.equal(proxy.requests[0]?.headers['if-match'], '0123');
});

test('after a conflict of two writes at the same moment it is asked again who was first', async () => {
  const conflict = {
    matches: ({ method }: { method: string }) => method === 'PUT',
    times: 1,
    before: () => errorAnswer(409, 'ConditionalRequestConflict'),
  };
  for (const won of [true, false]) {
    proxy.expect(conflict);
    assert.equal(await write('host/conflict.json', 'x', { absent: true }), won);
    assert.equal(proxy.requests.length, 2);
  }
});

test('a document over the limit is refused unread, as often as that happens', async () => {
  await writeText(bucket, 'host/large', 'x'.repeat(300_000), plainWrite);
  // More often than there are connections: one that is not given back would stop this.
  for (let round = 0; round < 12; round++) {
    await assert.rejects(readDocument(bucket, 'host/large', 299_999), (error: ToolError) => {
      assert.equal(error.message, 'host/large has more than 299999 bytes, and is not read');
      assert.equal(error.problem, 'has more than 299999 bytes, and is not read');
      assert.equal(exitCodeOf(error), 4);
      return true;
    });
  }
  assert.equal((await readDocument(bucket, 'host/large', 300_000))?.text.length, 300_000);
});

test('a document that does not give its length, and does not end, is given up at the limit', {
  timeout: 60_000,
}, async () => {
  let sent = 0;
  const endless = createServer((_, answer) => {
    answer.writeHead(200, { etag: '"e"' });
    const piece = Buffer.alloc(65_536, '[');
    const more = () => {
      while (answer.write(piece)) sent += piece.length;
    };
    answer.on('drain', more);
    more();
  });
  await new Promise<void>((resolve) => endless.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = endless.address() as AddressInfo;
    const other = await openTestBucket(`http://127.0.0.1:${port}`);
    await assert.rejects(
      readDocument(other, 'host/endless', 2 ** 20),
      /host\/endless has more than 1048576 bytes/,
    );
    other.close();
    assert.ok(sent < 100 * 2 ** 20, `${sent} bytes were sent`);
  } finally {
    endless.closeAllConnections();
    await new Promise((resolve) => endless.close(resolve));
  }
});

test('a text is written over whatever was there', async () => {
  for (const text of ['one', 'two']) {
    await writeText(bucket, 'host/RESTORE.txt', text, plainWrite);
    assert.equal((await readDocument(bucket, 'host/RESTORE.txt', 1000))?.text, text);
  }
});

test('a document in an archive class cannot be read before it is thawed', async () => {
  await putAs(bucket, 'host/frozen', 'GLACIER');
  await assert.rejects(readDocument(bucket, 'host/frozen', 10), (error: ToolError) => {
    assert.match(error.message, /^host\/frozen is archived \(GLACIER\) and must be thawed to be read/);
    assert.equal(exitCodeOf(error), 5);
    assert.match(
      error.hint ?? '',
      /restore-object --bucket test-bucket --key host\/frozen --restore-request '\{"Days":7,.*; a lifecycle rule /,
    );
    return true;
  });
  const key = 'host/subvol/data/full/manifest-20260101T020000Z.json';
  const request = { Bucket: bucket.name, Body: '{}', StorageClass: 'INTELLIGENT_TIERING' } as const;
  for (const Key of [key, 'host/tiered']) await bucket.client.send(new PutObjectCommand({ ...request, Key }));
  await server.archive(() => true);
  await assert.rejects(readDocument(bucket, 'host/tiered', 10), (error: ToolError) => {
    assert.match(error.message, /is archived \(ARCHIVE_ACCESS\)/);
    assert.match(
      error.hint ?? '',
      /--restore-request '\{"GlacierJobParameters":.*; STORAGE_CLASS_MANIFEST=STANDARD /,
    );
    return true;
  });
  await assert.rejects(readDocument(bucket, key, 10), { hint: /^make thaw SUBVOLUME=data requests it; / });
});

test('a text whose writing gets no answer is given up with the run', async () => {
  const ending = new AbortController();
  const own = await openTestBucket(proxy.endpoint, {}, {}, { signal: ending.signal });
  let asked: () => void;
  const isAsked = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const silence = () => {
    asked();
    return new Promise<never>(() => undefined);
  };
  proxy.expect({ matches: ({ method }) => method === 'PUT', times: 1, before: silence });
  const written = assert.rejects(writeText(own, 'host/silent', 'x', plainWrite), /enough|abort/i);
  await isAsked;
  ending.abort(new Error('enough'));
  await written;
  proxy.expect();
  own.close();
});

test('a document whose body breaks off is read again', async () => {
  await writeText(bucket, 'host/broken', 'the whole text', plainWrite);
  retries.length = 0;
  proxy.expect({
    matches: ({ method }) => method === 'GET',
    times: 1,
    after: (answer) => ({ ...answer, cut: { afterBytes: 3, how: 'break' } }),
  });
  assert.equal((await readDocument(bucket, 'host/broken', 1000))?.text, 'the whole text');
  assert.equal(retries.length, 1);
});

/** Answers with one bit of the body flipped, so many times. */
const flipped = (times?: number) => ({
  matches: ({ method }: { readonly method: string }) => method === 'GET',
  ...(times !== undefined && { times }),
  after: (answer: ProxiedAnswer) => {
    const body = Buffer.from(answer.body);
    body.writeUInt8(body.readUInt8(9) ^ 1, 9);
    return { ...answer, body };
  },
});

test('a document with a flipped bit is read again, and reported as damage when it stays like this', async () => {
  await write('host/flipped.json', '{"size": 1234}', { absent: true });
  retries.length = 0;
  proxy.expect(flipped(1));
  assert.equal((await readDocument(bucket, 'host/flipped.json', 1000))?.text, '{"size": 1234}');
  assert.equal(retries.length, 1);
  proxy.expect(flipped());
  await assert.rejects(readDocument(bucket, 'host/flipped.json', 1000), (error: ToolError) => {
    assert.equal(error.message, 'host/flipped.json is damaged: its bytes are not those that were stored');
    assert.equal(exitCodeOf(error), 4);
    return true;
  });
  proxy.expect();
});

test('a document is read from a server that keeps no checksums', async () => {
  proxy.expect({ matches: () => true, after: withoutChecksums });
  assert.equal((await readDocument(bucket, 'host/flipped.json', 1000))?.text, '{"size": 1234}');
  proxy.expect();
});
