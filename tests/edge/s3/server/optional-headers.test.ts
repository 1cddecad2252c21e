/** Servers that refuse headers which nothing depends on: found out with the first request, and done without from then on. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { deleteObjects } from '../../../../lib/edge/s3/delete-objects.ts';
import { readDocument, writeDocument, writeText } from '../../../../lib/edge/s3/documents.ts';
import { headObject, listObjects } from '../../../../lib/edge/s3/objects.ts';
import { sendOnce } from '../../../../lib/edge/s3/requests/send.ts';
import type { Habits, RefusedHeaders } from '../../../../testing/s3-server/habits/habits.ts';
import { providers } from '../../../../testing/s3-server/habits/providers.ts';
import { plainWrite } from '../../../support/bucket.ts';
import { openProvider } from '../../../support/provider-bucket.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

const directory = temporaryDirectory('optional-headers');

/** Backblaze's refusal of checksums, and a server that refuses them in S3's general words. */
const byName: RefusedHeaders = providers.b2.refused[0];
const inGeneral: RefusedHeaders = { headers: byName.headers, code: 'NotImplemented' };
const refusals = [
  ['by name', byName],
  ['in general words', inGeneral],
] as const;

const open = (t: TestContext, refused: RefusedHeaders, settings: Readonly<Record<string, string>> = {}) => {
  const habits: Habits = { refused: [refused] };
  return openProvider(t, directory, undefined, { habits, settings });
};

for (const [how, refused] of refusals) {
  test(`a server that refuses checksums ${how} can be written, looked at, read and listed`, async (t) => {
    const { bucket, notices, server } = await open(t, refused);
    assert.equal(await headObject(bucket, 'host/text'), undefined);
    await writeText(bucket, 'host/text', 'words', plainWrite);
    assert.equal(await writeDocument(bucket, 'host/document', '{}', plainWrite, { absent: true }), true);
    assert.equal((await readDocument(bucket, 'host/document', 100))?.text, '{}');
    assert.equal((await headObject(bucket, 'host/text'))?.sizeBytes, 5);
    const keys = (await listObjects(bucket, 'host/')).map(({ key }) => key);
    assert.deepEqual(keys, ['host/document', 'host/text']);
    assert.deepEqual(
      notices.map((notice) => notice.split(':')[0]),
      ['info'],
    );
    assert.match(notices[0] ?? '', /refuses headers with SHA-256 checksums: Content-MD5 .*S3_CHECKSUMS=md5/);
    // HEAD, which has no words, the GET that was asked for them, and the listing; nothing was tried again.
    assert.equal(server.requests.filter(({ status }) => status === 400 || status === 501).length, 3);
  });

  test(`what a read is the first to find out holds for it: refused ${how}`, async (t) => {
    const { bucket, reopen } = await open(t, refused);
    await writeText(bucket, 'host/text', 'words', plainWrite);
    assert.equal((await readDocument(await reopen(), 'host/text', 100))?.text, 'words');
    assert.equal((await headObject(await reopen(), 'host/text'))?.sizeBytes, 5);
    assert.equal(await headObject(await reopen(), 'host/nothing'), undefined);
  });

  test(`requests that find out at the same moment are all answered: refused ${how}`, async (t) => {
    const { bucket, reopen } = await open(t, refused);
    await writeText(bucket, 'host/text', 'words', plainWrite);
    const other = await reopen();
    const read = () => readDocument(other, 'host/text', 100);
    const texts = await Promise.all([read(), read(), headObject(other, 'host/text'), read()]);
    assert.equal(texts.filter((text) => text !== undefined).length, 4);
  });
}

test('bytes without their SHA-256 bring their MD5', async (t) => {
  const { bucket } = await open(t, byName, { S3_CHECKSUMS: 'md5' });
  const seen: (string | undefined)[] = [];
  bucket.client.middlewareStack.add(
    (next) => (args) => {
      seen.push((args.request as { headers: Record<string, string> }).headers['content-md5']);
      return next(args);
    },
    { step: 'finalizeRequest', name: 'seen' },
  );
  await writeDocument(bucket, 'host/document', '{}', plainWrite, { absent: true });
  assert.deepEqual(seen, ['mZFLkyvTelC5g8XnyQrpOw==']);
});

test('S3_CHECKSUMS=md5 sends no such header in the first place, and asks a strict server for nothing more', async (t) => {
  const { bucket, server, notices } = await openProvider(t, directory, undefined, {
    settings: { S3_CHECKSUMS: 'md5' },
  });
  await writeDocument(bucket, 'host/document', '{}', plainWrite, { absent: true });
  assert.equal((await readDocument(bucket, 'host/document', 100))?.text, '{}');
  const head = await headObject(bucket, 'host/document');
  assert.deepEqual([head?.sha256, server.requests.length, notices], [undefined, 3, []]);
});

test('S3_CHECKSUMS=sha256 does not go without: the refusal is reported, with the setting', async (t) => {
  const { bucket } = await open(t, byName, { S3_CHECKSUMS: 'sha256' });
  await assert.rejects(
    writeDocument(bucket, 'host/document', '{}', plainWrite, { absent: true }),
    (error) => {
      assert.match(String(error), /Unsupported header 'x-amz-checksum-sha256'/);
      assert.match((error as { hint?: string }).hint ?? '', /S3_CHECKSUMS=md5/);
      return true;
    },
  );
});

test('what is refused for something else stays refused, and nothing is learned from it', async (t) => {
  const noClass: RefusedHeaders = { headers: /^x-amz-storage-class$/, code: 'NotImplemented' };
  const { bucket, notices } = await open(t, noClass);
  const put = new PutObjectCommand({
    Bucket: bucket.name,
    Key: 'host/x',
    Body: 'x',
    StorageClass: 'GLACIER',
    ChecksumSHA256: 'LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE=',
  });
  await assert.rejects(sendOnce(bucket, put), { name: 'NotImplemented' });
  assert.deepEqual([bucket.habits.checksums, bucket.habits.leftOut, notices], ['sha256', [], []]);
});

test('a server that keeps checksums is sent them all the time', async (t) => {
  const { bucket, server } = await openProvider(t, directory, undefined);
  await writeDocument(bucket, 'host/document', '{}', plainWrite, { absent: true });
  const get = new GetObjectCommand({ Bucket: bucket.name, Key: 'host/document', ChecksumMode: 'ENABLED' });
  const { ChecksumSHA256 } = await sendOnce(bucket, get);
  assert.equal(ChecksumSHA256, 'RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=');
  assert.equal(server.requests.length, 2);
});

for (const provider of ['minio', 'ecs'] as const) {
  test(`${provider} wants Content-MD5 of DeleteObjects, and gets it`, async (t) => {
    const { bucket } = await openProvider(t, directory, provider);
    await writeText(bucket, 'host/text', 'words', plainWrite);
    assert.deepEqual(await deleteObjects(bucket, ['host/text']), []);
    assert.equal(await headObject(bucket, 'host/text'), undefined);
  });
}
