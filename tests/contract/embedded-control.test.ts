/** The embedded server controlled from outside: by its command line, and by its control endpoint. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { describe, test } from 'node:test';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { startServerProcess } from '../../testing/harness/servers/local-server.ts';
import { ACCOUNT, BUCKET as Bucket, createClient, makeScratch, withServer } from './start.ts';
import { refused } from './target.ts';

const AUTHORIZATION = `Bearer ${ACCOUNT.secretAccessKey}`;

/** Calls the control endpoint. */
async function control(
  endpoint: string,
  method: string,
  path: string,
  body?: string,
  authorization = AUTHORIZATION,
): Promise<{ status: number; json: unknown }> {
  const response = await fetch(`${endpoint}/-/control/${path}`, {
    method,
    headers: { authorization },
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  return { status: response.status, json: text === '' ? undefined : JSON.parse(text) };
}

describe('control of the embedded server', () => {
  test('faults are set, counted and cleared', async () => {
    await withServer({}, async (_server, { client, endpoint }) => {
      const rule = { fault: 'error', code: 'SlowDown', operation: 'PutObject', next: 1 };
      assert.deepEqual(await control(endpoint, 'PUT', 'faults', JSON.stringify([rule])), {
        status: 200,
        json: [{ rule, matched: 0, fired: 0 }],
      });
      const put = () => client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'x' }));
      await refused(put(), 'SlowDown', 503);
      await put();
      assert.deepEqual((await control(endpoint, 'GET', 'faults')).json, [{ rule, matched: 2, fired: 1 }]);
      assert.deepEqual(await control(endpoint, 'DELETE', 'faults'), { status: 204, json: undefined });
      assert.deepEqual((await control(endpoint, 'GET', 'faults')).json, []);
    });
  });

  test('permissions are set, shown and cleared', async () => {
    await withServer({}, async (_server, { client, endpoint }) => {
      const permissions = { denied: ['s3:GetObject *.secret'], allowed: ['s3:GetObject'] };
      assert.deepEqual(await control(endpoint, 'PUT', 'permissions', JSON.stringify(permissions)), {
        status: 200,
        json: permissions,
      });
      await refused(client.send(new ListBucketsCommand({})), 'AccessDenied', 403);
      assert.deepEqual((await control(endpoint, 'GET', 'permissions')).json, permissions);
      assert.equal((await control(endpoint, 'DELETE', 'permissions')).status, 204);
      await client.send(new ListBucketsCommand({}));
    });
  });

  test('requests are listed and forgotten; calls of the endpoint are none', async () => {
    await withServer({}, async (server, { client, endpoint }) => {
      await client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'hello' }));
      assert.deepEqual((await control(endpoint, 'GET', 'requests')).json, [
        { method: 'PUT', operation: 'PutObject', bucket: Bucket, key: 'a', status: 200, bytesReceived: 5 },
      ]);
      assert.equal((await control(endpoint, 'DELETE', 'requests')).status, 204);
      assert.deepEqual((await control(endpoint, 'GET', 'requests')).json, []);
      assert.deepEqual(server.requests, []);
    });
  });

  test('without the secret nothing is reported or changed', async () => {
    await withServer({}, async (server, { endpoint }) => {
      const rules = JSON.stringify([{ fault: 'reset-before' }]);
      for (const authorization of [
        '',
        'Bearer',
        'Bearer no',
        `${AUTHORIZATION}x`,
        `Basic ${AUTHORIZATION}`,
      ]) {
        assert.equal((await control(endpoint, 'PUT', 'faults', rules, authorization)).status, 401);
        assert.equal((await control(endpoint, 'GET', 'requests', undefined, authorization)).status, 401);
        assert.equal((await control(endpoint, 'GET', 'none', undefined, authorization)).status, 401);
      }
      assert.deepEqual(server.faults.list(), []);
    });
  });

  test('what is wrong is refused with words, and changes nothing', async () => {
    await withServer({ faults: [{ fault: 'slow', bytesPerSecond: 1 }] }, async (server, { endpoint }) => {
      for (const [method, path, body, status, expected] of [
        ['PUT', 'faults', '[{"fault":"explode"}]', 400, /fault rules: 0\.fault: fault has to be one of/],
        ['PUT', 'faults', '{}', 400, /fault rules: value: .*array/],
        ['PUT', 'faults', '[', 400, /not JSON/],
        ['PUT', 'faults', undefined, 400, /fault rules/],
        ['PUT', 'permissions', '{"allowed":["s3:All"]}', 400, /'s3:All' is not an action/],
        ['PUT', 'permissions', '[]', 400, /permissions: value/],
        ['POST', 'faults', '[]', 404, /no POST \/-\/control\/faults here/],
        ['GET', 'fault', undefined, 404, /no GET \/-\/control\/fault here/],
      ] as const) {
        const answer = await control(endpoint, method, path, body);
        assert.equal(answer.status, status, `${method} ${path} ${body}`);
        assert.match((answer.json as { message: string }).message, expected);
      }
      assert.equal(server.faults.list().length, 1);
    });
  });

  test('a server process takes faults and permissions on its command line', async () => {
    const directory = await makeScratch();
    try {
      const server = await startServerProcess({
        directory,
        bucket: Bucket,
        environment: { PATH: process.env.PATH ?? '' },
        options: [
          '--fault={"fault":"error","code":"InternalError","operation":"PutObject","next":1}',
          '--fault={"fault":"error","code":"SlowDown","operation":"PutObject","next":1}',
          '--denied=s3:GetObject',
        ],
      });
      const client = createClient(server.endpoint, server);
      try {
        const put = () => client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'x' }));
        await refused(put(), 'InternalError', 500);
        await refused(put(), 'SlowDown', 503);
        await put();
        await refused(client.send(new GetObjectCommand({ Bucket, Key: 'a' })), 'AccessDenied', 403);
        const bearer = `Bearer ${server.secretAccessKey}`;
        const cleared = await control(server.endpoint, 'DELETE', 'permissions', undefined, bearer);
        assert.equal(cleared.status, 204);
        await client.send(new HeadObjectCommand({ Bucket, Key: 'a' }));
      } finally {
        client.destroy();
        await server.stop();
      }
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});
