import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { exitCodeOf, ToolError } from '../../lib/core/errors.ts';
import {
  checkAccess,
  headObject,
  listKeys,
  readDocument,
  writeDocument,
  writeText,
} from '../../lib/edge/documents.ts';
import type { Bucket } from '../../lib/edge/s3-client.ts';
import { openTestBucket, plainWrite, startTestBucket } from '../support/bucket.ts';
import { errorAnswer, type ProxiedAnswer, withoutChecksums } from '../support/faulty-proxy.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const directory = temporaryDirectory('documents');
const { bucket, proxy, retries } = await startTestBucket(join(directory, 's3'), { CONCURRENCY: '1' });

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

test('over a document that is gone nobody writes who has read it', async () => {
  assert.equal(await write('host/gone.json', 'x', { etag: '"0123"' }), false);
  assert.equal(await readDocument(bucket, 'host/gone.json', 1000), undefined);
});

test('an ETag goes into the condition without its quotes', async () => {
  proxy.expect();
  await write('host/pointer.json', 'x', { etag: '"0123"' });
  assert.equal(proxy.requests[0]?.headers['if-match'], '0123');
});

test('a conflict of two writes at the same moment counts as lost', async () => {
  proxy.expect({
    matches: ({ method }) => method === 'PUT',
    before: () => errorAnswer(409, 'ConditionalRequestConflict'),
  });
  assert.equal(await write('host/conflict.json', 'x', { absent: true }), false);
  proxy.expect();
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

test('a document that does not tell its length, and does not end, is given up at the limit', {
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

test('a listing that says that there is more, but not from where, ends', { timeout: 60_000 }, async () => {
  await writeText(bucket, 'host/listed', 'x', plainWrite);
  proxy.expect({
    matches: ({ url }) => url.includes('list-type=2'),
    after: (answer) => ({
      ...answer,
      body: Buffer.from(String(answer.body).replace('<IsTruncated>false<', '<IsTruncated>true<')),
      headers: { ...answer.headers, 'content-length': String(answer.body.length - 1) },
    }),
  });
  await assert.rejects(listKeys(bucket, 'host/'), /cannot list host\/: the server says that there is more/);
  assert.equal(proxy.requests.length, 1);
  proxy.expect();
});

test('a text is written over whatever was there', async () => {
  for (const text of ['one', 'two']) {
    await writeText(bucket, 'host/RESTORE.txt', text, plainWrite);
    assert.equal((await readDocument(bucket, 'host/RESTORE.txt', 1000))?.text, text);
  }
});

test('keys are listed below a prefix alone, over all pages, in the order of their bytes', async () => {
  const { bucket: paged } = await startTestBucket(join(directory, 'paged'), {}, 2);
  const keys = ['p/a', 'p/b/c', 'p/b/d', 'p/ü', 'q/x'];
  for (const key of [...keys].reverse()) await writeText(paged, key, 'x', plainWrite);
  assert.deepEqual(await listKeys(paged, 'p/'), keys.slice(0, 4));
  assert.deepEqual(await listKeys(paged, 'none/'), []);
});

async function putAs(
  key: string,
  StorageClass: 'GLACIER' | 'GLACIER_IR' | 'STANDARD',
  sha256?: string,
): Promise<void> {
  const checksum = sha256 === undefined ? {} : { ChecksumSHA256: sha256 };
  await bucket.client.send(
    new PutObjectCommand({ Bucket: bucket.name, Key: key, Body: 'abc', StorageClass, ...checksum }),
  );
}

test('an object is described with its size, ETag, checksum and class, and whether it must be thawed', async () => {
  const sha256 = 'ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=';
  await putAs('host/hot', 'STANDARD', sha256);
  assert.deepEqual(await headObject(bucket, 'host/hot'), {
    sizeBytes: 3,
    etag: '"900150983cd24fb0d6963f7d28e17f72"',
    sha256,
    storageClass: 'STANDARD',
    cold: false,
  });
  await putAs('host/cold', 'GLACIER');
  await putAs('host/instant', 'GLACIER_IR');
  const [cold, instant] = [await headObject(bucket, 'host/cold'), await headObject(bucket, 'host/instant')];
  assert.deepEqual([cold?.storageClass, cold?.cold, cold?.sha256], ['GLACIER', true, undefined]);
  assert.deepEqual([instant?.storageClass, instant?.cold], ['GLACIER_IR', false]);
  assert.equal(await headObject(bucket, 'host/none'), undefined);
});

test('a document in an archive class cannot be read before it is thawed', async () => {
  await putAs('host/frozen', 'GLACIER');
  await assert.rejects(readDocument(bucket, 'host/frozen', 10), (error: ToolError) => {
    assert.match(
      error.message,
      /^cannot read host\/frozen: the object is in an archive class and not thawed/,
    );
    assert.equal(exitCodeOf(error), 5);
    return true;
  });
});

/** Every call refuses in the same words; the line names what was tried, the bucket and the server. */
async function refusedEverywhere(target: Bucket, says: string, hint: RegExp): Promise<void> {
  for (const [what, call] of [
    ['use the bucket', () => checkAccess(target)],
    ['read k', () => readDocument(target, 'k', 10)],
    ['write k', () => writeDocument(target, 'k', 'x', plainWrite, { absent: true })],
    ['write k', () => writeText(target, 'k', 'x', plainWrite)],
    ['list k', () => listKeys(target, 'k')],
    ['look at k', () => headObject(target, 'k')],
  ] as const) {
    await assert.rejects(call(), (error: ToolError) => {
      assert.ok(error instanceof ToolError, String(error));
      assert.equal(error.message, `cannot ${what}: ${says} (bucket ${target.name}, ${target.server})`);
      assert.match(error.hint ?? '', hint);
      return true;
    });
  }
}

test('a missing bucket is told as such', async () => {
  const missing = await openTestBucket(proxy.endpoint, { S3_BUCKET: 'no-such-bucket' });
  await refusedEverywhere(missing, 'the bucket does not exist', /check S3_BUCKET/);
  missing.close();
});

test('a wrong secret and an unknown key are told as such, and access is checked with one cheap question', async () => {
  await checkAccess(bucket);
  const wrong = await openTestBucket(proxy.endpoint, {}, { AWS_SECRET_ACCESS_KEY: 'wrong' });
  await refusedEverywhere(wrong, 'the signature was refused', /check AWS_SECRET_ACCESS_KEY/);
  wrong.close();
  const unknown = await openTestBucket(proxy.endpoint, {}, { AWS_ACCESS_KEY_ID: 'nobody' });
  await refusedEverywhere(unknown, 'the access key is not known', /check AWS_ACCESS_KEY_ID/);
  unknown.close();
});

test('a server that is not there is told as such', async () => {
  const nowhere = await openTestBucket('http://127.0.0.1:9');
  await assert.rejects(
    checkAccess(nowhere),
    /cannot use the bucket: the connection was refused \(bucket .*127\.0\.0\.1:9\)/,
  );
  nowhere.close();
});

test('a small request is repeated too, after the wait that the server asks for', async () => {
  const waits: number[] = [];
  const own = await openTestBucket(
    proxy.endpoint,
    {},
    {},
    {
      onRetry: (_what, _error, _attempt, waitMs) => waits.push(waitMs),
    },
  );
  const busy = { ...errorAnswer(503, 'SlowDown'), headers: { 'retry-after': '1' } };
  proxy.expect({ matches: () => true, times: 1, before: () => busy });
  await checkAccess(own);
  assert.deepEqual(waits, [1000]);
  own.close();
});

test('what HEAD cannot say is asked with one GET: what has expired is named, and what may pass is sent again', async () => {
  const told = async (status: number, code: string) => {
    proxy.expect(
      {
        matches: ({ method }) => method === 'HEAD',
        before: () => ({ ...errorAnswer(status, code), body: Buffer.alloc(0) }),
      },
      { matches: ({ method }) => method === 'GET', before: () => errorAnswer(status, code) },
    );
    return headObject(bucket, 'host/hot').then(
      () => 'found',
      (error: Error) => error.message,
    );
  };
  assert.match(await told(400, 'ExpiredToken'), /^cannot look at host\/hot: the credentials have expired/);
  assert.match(await told(403, 'RequestTimeTooSkewed'), /this host's clock differs/);
  const bodiless = { ...errorAnswer(400, 'RequestTimeout'), body: Buffer.alloc(0) };
  proxy.expect(
    { matches: ({ method }) => method === 'HEAD', times: 1, before: () => bodiless },
    { matches: ({ method }) => method === 'GET', times: 1, before: () => errorAnswer(400, 'RequestTimeout') },
  );
  assert.equal((await headObject(bucket, 'host/hot'))?.sizeBytes, 3);
  assert.deepEqual(
    proxy.requests.map(({ method }) => method),
    ['HEAD', 'GET', 'HEAD'],
  );
});

test('a refusal that GET does not share is told as it was', async () => {
  const refused = { ...errorAnswer(403, 'AccessDenied'), body: Buffer.alloc(0) };
  proxy.expect({ matches: ({ method }) => method === 'HEAD', before: () => refused });
  await assert.rejects(headObject(bucket, 'host/hot'), /cannot look at host\/hot: access was denied/);
  await assert.rejects(headObject(bucket, 'host/frozen'), /cannot look at host\/frozen: access was denied/);
  proxy.expect();
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

test('a document with a flipped bit is read again, and told as damage when it stays like this', async () => {
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

test('an answer that makes no sense is asked for again, and told in one line', async () => {
  const nonsense = { status: 200, headers: { 'content-type': 'text/html' }, body: Buffer.from('<p>Welcome') };
  proxy.expect({ matches: () => true, times: 1, before: () => nonsense });
  await listKeys(bucket, 'host/');
  proxy.expect({ matches: () => true, before: () => nonsense });
  await assert.rejects(
    listKeys(bucket, 'host/'),
    /^ToolError: cannot list host\/: the answer makes no sense \(bucket [^\n]*\)$/,
  );
  proxy.expect();
});
