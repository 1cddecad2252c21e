/** The contract of removing many objects with one request. */
import assert from 'node:assert/strict';
import { DeleteObjectsCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { assertRefusal, check, digest, freshKey, raw, type Target } from './target.ts';

/** Defines the tests of DeleteObjects. */
export function deleteObjectsContract(target: Target): void {
  const { client, bucket: Bucket } = target;

  check(
    target,
    'quiet-delete',
    'DeleteObjects removes what is there, names every key, and is silent when quiet',
    async () => {
      const base = freshKey(target, '');
      for (const name of ['a', 'b', 'c']) {
        await client.send(new PutObjectCommand({ Bucket, Key: `${base}${name}`, Body: name }));
      }
      const loud = await client.send(
        new DeleteObjectsCommand({
          Bucket,
          Delete: { Objects: [{ Key: `${base}a` }, { Key: `${base}none` }] },
        }),
      );
      assert.deepEqual(loud.Deleted?.map((each) => each.Key).sort(), [`${base}a`, `${base}none`]);
      const quiet = await client.send(
        new DeleteObjectsCommand({ Bucket, Delete: { Quiet: true, Objects: [{ Key: `${base}b` }] } }),
      );
      assert.deepEqual([quiet.Deleted, quiet.Errors], [undefined, undefined]);
      const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket, Prefix: base }));
      assert.deepEqual(
        Contents.map((each) => each.Key),
        [`${base}c`],
      );
    },
  );

  check(target, 'vouched-delete', 'DeleteObjects wants its body vouched for', async () => {
    const body = `<Delete><Object><Key>${freshKey(target)}</Key></Object></Delete>`;
    const response = await raw(target, { method: 'POST', query: { delete: '' }, body });
    assertRefusal(response, 'InvalidRequest', 400);
  });

  check(target, 'malformed-xml', 'DeleteObjects wants its body well-formed', async () => {
    const query = { delete: '' };
    const body = `<Delete><Object><Key>${freshKey(target)}</Key></Object></Delete>`;
    for (const bad of ['<Delete><Object>', 'nonsense', '<Other/>']) {
      const headers = { 'content-md5': digest('md5', bad) };
      assert.equal((await raw(target, { method: 'POST', query, body: bad, headers })).status, 400, bad);
    }
    const headers = { 'content-md5': digest('md5', body) };
    assert.equal((await raw(target, { method: 'POST', query, body, headers })).status, 200);
  });

  check(target, 'error-codes', 'the refusal of what is no list of keys is MalformedXML', async () => {
    for (const body of ['nonsense', '<Delete></Delete>']) {
      const headers = { 'content-md5': digest('md5', body) };
      const response = await raw(target, { method: 'POST', query: { delete: '' }, body, headers });
      assertRefusal(response, 'MalformedXML', 400);
    }
  });
}
