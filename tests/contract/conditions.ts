/** The contract of conditional requests: two writers cannot both believe that they won. */
import assert from 'node:assert/strict';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3ServiceException,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { assertRefusal, check, freshKey, raw, refused, type Target } from './target.ts';

/** S3 answers 409 where the other writer is not done yet, see the documentation of conditional writes. */
const LOST = /^(PreconditionFailed 412|ConditionalRequestConflict 409)$/;

const WRONG_ETAG = `"${'0'.repeat(32)}"`;

/** How many of some calls succeeded, and the codes of the others. */
async function tally(calls: readonly Promise<unknown>[]): Promise<{ won: number; codes: string[] }> {
  const settled = await Promise.allSettled(calls);
  const lost = settled.filter((each) => each.status === 'rejected');
  return {
    won: settled.length - lost.length,
    codes: lost.map((each) =>
      each.reason instanceof S3ServiceException
        ? `${each.reason.name} ${each.reason.$metadata.httpStatusCode}`
        : String(each.reason),
    ),
  };
}

/** Defines the tests of conditional requests. */
export function conditionContract(target: Target): void {
  const { client, bucket: Bucket } = target;
  /** An ETag for If-Match, in the form that the target takes, so that a form it lacks hides nothing else. */
  const matching = (etag = '') => (target.lacks.has('quoted-if-match') ? etag.replaceAll('"', '') : etag);
  const put = (Key: string, Body: string, condition: { IfMatch?: string; IfNoneMatch?: string } = {}) =>
    client.send(new PutObjectCommand({ Bucket, Key, Body, ...condition }));

  check(
    target,
    'conditional-reads',
    'reading: If-Match, If-None-Match and the dates decide between 200, 304 and 412',
    async () => {
      const Key = freshKey(target);
      const { ETag = '' } = await put(Key, 'x');
      const past = new Date(Date.now() - 3_600_000);
      const future = new Date(Date.now() + 3_600_000);
      const allowed = [
        { IfMatch: ETag },
        { IfNoneMatch: WRONG_ETAG },
        { IfModifiedSince: past },
        { IfUnmodifiedSince: future },
        { IfMatch: ETag, IfUnmodifiedSince: past },
        { IfNoneMatch: WRONG_ETAG, IfModifiedSince: future },
      ];
      for (const condition of allowed) {
        const got = await client.send(new GetObjectCommand({ Bucket, Key, ...condition }));
        assert.equal(await got.Body?.transformToString(), 'x', JSON.stringify(condition));
      }
      for (const condition of [{ IfMatch: WRONG_ETAG }, { IfUnmodifiedSince: past }]) {
        await refused(
          client.send(new GetObjectCommand({ Bucket, Key, ...condition })),
          'PreconditionFailed',
          412,
        );
        const head = client.send(new HeadObjectCommand({ Bucket, Key, ...condition }));
        await assert.rejects(head, (error) => (error as S3ServiceException).$metadata.httpStatusCode === 412);
      }
      for (const headers of [{ 'if-none-match': ETag }, { 'if-modified-since': new Date().toUTCString() }]) {
        const got = await raw(target, { method: 'GET', key: Key, headers });
        assert.deepEqual([got.status, got.text], [304, '']);
      }
    },
  );

  check(target, 'etag-on-304', 'an answer of 304 repeats the ETag', async () => {
    const Key = freshKey(target);
    const { ETag = '' } = await put(Key, 'x');
    const got = await raw(target, { method: 'GET', key: Key, headers: { 'if-none-match': ETag } });
    assert.deepEqual([got.status, got.headers.get('etag')], [304, ETag]);
  });

  check(target, 'conditional-writes', 'If-None-Match: * writes once, and leaves what is there', async () => {
    const Key = freshKey(target);
    await put(Key, 'first', { IfNoneMatch: '*' });
    await refused(put(Key, 'second', { IfNoneMatch: '*' }), 'PreconditionFailed', 412);
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
    assert.equal(await Body?.transformToString(), 'first');
    await client.send(new DeleteObjectCommand({ Bucket, Key }));
    await put(Key, 'third', { IfNoneMatch: '*' });
  });

  check(target, 'strict-validation', 'If-None-Match with an ETag is not implemented for writes', async () => {
    await refused(put(freshKey(target), 'x', { IfNoneMatch: WRONG_ETAG }), 'NotImplemented', 501);
  });

  const forms = [
    ['quoted-if-match', 'with its quotes', (etag: string) => etag],
    ['unquoted-if-match', 'without quotes', (etag: string) => etag.replaceAll('"', '')],
  ] as const;
  for (const [feature, what, form] of forms) {
    check(target, feature, `If-Match writes over the ETag it names, ${what}`, async () => {
      const Key = freshKey(target);
      const { ETag = '' } = await put(Key, 'first');
      await put(Key, 'second', { IfMatch: form(ETag) });
      const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
      assert.equal(await Body?.transformToString(), 'second');
    });
  }

  check(target, 'conditional-writes', 'If-Match leaves what has another ETag', async () => {
    const Key = freshKey(target);
    const { ETag } = await put(Key, 'first');
    await put(Key, 'second');
    await refused(put(Key, 'third', { IfMatch: matching(ETag) }), 'PreconditionFailed', 412);
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
    assert.equal(await Body?.transformToString(), 'second');
  });

  check(target, 'conditional-writes', 'If-Match writes nothing where there is nothing', async () => {
    const Key = freshKey(target);
    await assert.rejects(put(Key, 'x', { IfMatch: matching(WRONG_ETAG) }), S3ServiceException);
    await refused(client.send(new HeadObjectCommand({ Bucket, Key })), 'NotFound', 404);
  });

  check(target, 'error-codes', 'the refusal of If-Match where there is nothing is NoSuchKey', async () => {
    await refused(put(freshKey(target), 'x', { IfMatch: matching(WRONG_ETAG) }), 'NoSuchKey', 404);
  });

  const writers = Array.from({ length: 10 }, (_, index) => `writer ${index} `.repeat(10_000));

  check(target, 'conditional-writes', 'of ten writers with If-None-Match: * exactly one wins', async () => {
    const Key = freshKey(target);
    const { won, codes } = await tally(writers.map((body) => put(Key, body, { IfNoneMatch: '*' })));
    assert.deepEqual({ won, codes: codes.filter((code) => !LOST.test(code)) }, { won: 1, codes: [] });
  });

  /** What becomes of ten writers who all want to replace the same version. */
  async function replaceAtOnce() {
    const Key = freshKey(target);
    const { ETag } = await put(Key, 'old');
    return await tally(writers.map((body) => put(Key, body, { IfMatch: matching(ETag) })));
  }

  check(target, 'conditional-writes', 'of ten writers with the same If-Match exactly one wins', async () => {
    assert.equal((await replaceAtOnce()).won, 1);
  });

  check(target, 'race-answers', 'a writer who loses to another at the same moment gets 412', async () => {
    const { codes } = await replaceAtOnce();
    assert.deepEqual(
      codes.filter((code) => !LOST.test(code)),
      [],
    );
  });

  /** An upload of one part, and how to complete it. */
  async function uploadOf(Key: string) {
    const { UploadId } = await client.send(
      new CreateMultipartUploadCommand({ Bucket, Key, ChecksumAlgorithm: 'SHA256' }),
    );
    const part = await client.send(
      new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body: 'x', ChecksumAlgorithm: 'SHA256' }),
    );
    return (condition: { IfMatch?: string; IfNoneMatch?: string }) =>
      client.send(
        new CompleteMultipartUploadCommand({
          Bucket,
          Key,
          UploadId,
          MultipartUpload: {
            Parts: [{ PartNumber: 1, ETag: part.ETag, ChecksumSHA256: part.ChecksumSHA256 }],
          },
          ...condition,
        }),
      );
  }

  check(
    target,
    'conditional-complete',
    'completing an upload with If-None-Match: * writes once',
    async () => {
      const Key = freshKey(target);
      const complete = await uploadOf(Key);
      await put(Key, 'in the way');
      await refused(complete({ IfNoneMatch: '*' }), 'PreconditionFailed', 412);
      await client.send(new DeleteObjectCommand({ Bucket, Key }));
      await complete({ IfNoneMatch: '*' });
      const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
      assert.equal(await Body?.transformToString(), 'x');
    },
  );

  check(target, 'conditional-complete', 'completing an upload with If-Match wants that ETag', async () => {
    const Key = freshKey(target);
    const complete = await uploadOf(Key);
    await refused(complete({ IfMatch: matching(WRONG_ETAG) }), 'NoSuchKey', 404);
    const { ETag } = await put(Key, 'in the way');
    await refused(complete({ IfMatch: matching(WRONG_ETAG) }), 'PreconditionFailed', 412);
    await complete({ IfMatch: matching(ETag) });
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
    assert.equal(await Body?.transformToString(), 'x');
  });

  check(
    target,
    'conditional-delete',
    'a delete with If-Match spares an object that has changed',
    async () => {
      const Key = freshKey(target);
      const first = await put(Key, 'first');
      const second = await put(Key, 'second');
      const remove = (etag: string | undefined) =>
        raw(target, { method: 'DELETE', key: Key, headers: { 'if-match': etag ?? '' } });
      assertRefusal(await remove(first.ETag), 'PreconditionFailed', 412);
      assert.equal((await remove(second.ETag)).status, 204);
      await refused(client.send(new HeadObjectCommand({ Bucket, Key })), 'NotFound', 404);
    },
  );
}
