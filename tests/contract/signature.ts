/** The contract of signatures: nothing is done for a request that is not signed by the account, as it arrived, now. */
import assert from 'node:assert/strict';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { assertRefusal, check, encodeKey, freshKey, raw, signer, type Target } from './target.ts';

const MINUTE_MS = 60_000;

/** A URL that is good for some seconds from a time on. */
async function presign(
  target: Target,
  method: string,
  key: string,
  expiresIn: number,
  signingDate = new Date(),
): Promise<string> {
  const { hostname, host, protocol } = new URL(target.endpoint);
  const path = `/${target.bucket}/${encodeKey(key)}`;
  const signed = await signer(target).presign(
    {
      method,
      protocol,
      hostname,
      path,
      query: {},
      headers: { host, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' },
    },
    { expiresIn, signingDate },
  );
  return `${target.endpoint}${path}?${new URLSearchParams(signed.query as Record<string, string>).toString()}`;
}

/** Defines the tests of signatures. */
export function signatureContract(target: Target): void {
  const { client, bucket: Bucket } = target;

  async function existing(name?: string): Promise<string> {
    const Key = freshKey(target, name);
    await client.send(new PutObjectCommand({ Bucket, Key, Body: 'secret' }));
    return Key;
  }

  check(target, 'anonymous-refusal', 'a request without a signature is AccessDenied', async () => {
    const key = await existing();
    const response = await raw(target, {
      method: 'GET',
      key,
      tamper: (headers) => {
        delete headers.authorization;
      },
    });
    assertRefusal(response, 'AccessDenied', 403);
  });

  check(
    target,
    'signatures',
    'an unknown key id is InvalidAccessKeyId, a wrong secret SignatureDoesNotMatch',
    async () => {
      const key = await existing();
      assertRefusal(
        await raw(target, { method: 'GET', key, accessKeyId: 'AKNOBODY' }),
        'InvalidAccessKeyId',
        403,
      );
      assertRefusal(
        await raw(target, { method: 'GET', key, secretAccessKey: 'guess' }),
        'SignatureDoesNotMatch',
        403,
      );
    },
  );

  check(target, 'signatures', 'a clock more than 15 minutes away is RequestTimeTooSkewed', async () => {
    const key = await existing();
    for (const minutes of [-16, 16]) {
      const signedAt = new Date(Date.now() + minutes * MINUTE_MS);
      assertRefusal(await raw(target, { method: 'GET', key, signedAt }), 'RequestTimeTooSkewed', 403);
    }
    for (const minutes of [-14, 14]) {
      const signedAt = new Date(Date.now() + minutes * MINUTE_MS);
      assert.equal((await raw(target, { method: 'GET', key, signedAt })).status, 200);
    }
  });

  check(
    target,
    'signatures',
    'what was signed cannot be changed on the way: header, path, query',
    async () => {
      const key = await existing('a name with (odd) signs!*');
      const get = { method: 'GET', key, headers: { 'x-amz-checksum-mode': 'ENABLED' } };
      const changed = await raw(target, {
        ...get,
        tamper: (headers) => {
          headers['x-amz-checksum-mode'] = 'OTHER';
        },
      });
      assertRefusal(changed, 'SignatureDoesNotMatch', 403);
      const moved = await raw(target, { ...get, tamperUrl: (url) => `${url}x` });
      assertRefusal(moved, 'SignatureDoesNotMatch', 403);
      const widened = await raw(target, { ...get, tamperUrl: (url) => `${url}?response-expires=x` });
      assertRefusal(widened, 'SignatureDoesNotMatch', 403);
      const replaced = await raw(target, {
        ...get,
        tamper: (headers) => {
          const flip = (digit: string) => (digit === '0' ? '1' : '0');
          headers.authorization = (headers.authorization ?? '').replace(/.$/, flip);
        },
      });
      assertRefusal(replaced, 'SignatureDoesNotMatch', 403);
      assert.equal((await raw(target, get)).text, 'secret');
    },
  );

  check(target, 'unsigned-headers', 'an x-amz header added after signing is AccessDenied', async () => {
    const response = await raw(target, {
      method: 'PUT',
      key: freshKey(target),
      body: 'x',
      tamper: (headers) => {
        headers['x-amz-meta-added'] = 'later';
      },
    });
    assertRefusal(response, 'AccessDenied', 403);
  });

  check(
    target,
    'content-sha256-header',
    'x-amz-content-sha256 has to be there and to be a hash',
    async () => {
      const key = freshKey(target);
      const missing = await raw(target, {
        method: 'PUT',
        key,
        body: 'x',
        tamper: (headers) => {
          delete headers['x-amz-content-sha256'];
        },
      });
      assertRefusal(missing, 'InvalidRequest', 400);
      assertRefusal(
        await raw(target, { method: 'PUT', key, body: 'x', contentSha256: 'HASH' }),
        'InvalidArgument',
        400,
      );
    },
  );

  check(target, 'strict-signature', 'no signature version 4 is refused', async () => {
    const key = await existing();
    for (const [authorization, code] of [
      ['AWS AKTEST:c2lnbmF0dXJl', 'InvalidRequest'],
      ['AWS4-HMAC-SHA256 Credential=x', 'AuthorizationHeaderMalformed'],
    ] as const) {
      const response = await raw(target, {
        method: 'GET',
        key,
        tamper: (headers) => {
          headers.authorization = authorization;
        },
      });
      assertRefusal(response, code, 400);
    }
  });

  check(target, 'signing-region', 'a scope of another region is refused', async () => {
    const response = await raw(target, { method: 'GET', key: await existing(), region: 'mars-1' });
    assertRefusal(response, 'AuthorizationHeaderMalformed', 400);
  });

  check(target, 'presigned', 'a presigned URL reads and writes without further headers', async () => {
    const key = freshKey(target, 'signed by (url) ü');
    const put = await fetch(await presign(target, 'PUT', key, 60), { method: 'PUT', body: 'by url' });
    assert.equal(put.status, 200, await put.text());
    const got = await fetch(await presign(target, 'GET', key, 60));
    assert.deepEqual([got.status, await got.text()], [200, 'by url']);
  });

  check(
    target,
    'presigned-refusal',
    'a presigned URL is refused when it has expired or was changed',
    async () => {
      const key = await existing();
      const expired = await fetch(
        await presign(target, 'GET', key, 60, new Date(Date.now() - 2 * MINUTE_MS)),
      );
      assert.equal(expired.status, 403);
      assert.match(
        await expired.text(),
        target.lacks.has('error-messages') ? /AccessDenied/ : /AccessDenied.*expired/,
      );
      const url = await presign(target, 'GET', key, 60);
      const longer = await fetch(url.replace('X-Amz-Expires=60', 'X-Amz-Expires=6000'));
      assert.equal(longer.status, 403);
      assert.match(await longer.text(), /SignatureDoesNotMatch/);
      const other = await fetch(url, { method: 'DELETE' });
      assert.equal(other.status, 403);
      await other.text();
    },
  );
}
