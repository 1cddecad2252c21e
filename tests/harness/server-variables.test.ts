import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFeatures } from '../../testing/harness/servers/features.ts';
import { readServerVariables, serverVariables } from '../../testing/harness/servers/server-variables.ts';

const access = {
  endpoint: 'http://127.0.0.1:4000',
  region: 'us-east-1',
  bucket: 'bucket',
  accessKeyId: 'id',
  secretAccessKey: 'key',
};

test('a child process reads of a server what it was given', () => {
  const variables = serverVariables(access, parseFeatures('archive, checksums'));
  assert.equal(variables.S3_SERVER, 'env');
  const { sessionToken, prefix, lacks, ...read } = readServerVariables(variables);
  assert.deepEqual(read, access);
  assert.deepEqual([sessionToken, prefix, [...lacks]], [undefined, '', ['archive', 'checksums']]);
});

test('without an endpoint it is AWS; a prefix is a folder; a session token belongs to the keys', () => {
  const { AWS_ENDPOINT_URL_S3: _, ...rest } = serverVariables(access, new Set());
  const named = {
    ...rest,
    AWS_REGION: 'eu-central-1',
    AWS_SESSION_TOKEN: 'token',
    S3_PREFIX: '/some/tests/',
  };
  const server = readServerVariables(named);
  assert.equal(server.endpoint, 'https://s3.eu-central-1.amazonaws.com');
  assert.deepEqual([server.prefix, server.sessionToken], ['some/tests/', 'token']);
});

test('what is missing or wrong is said in one line', () => {
  const variables = serverVariables(access, new Set());
  assert.throws(
    () => readServerVariables({ ...variables, AWS_REGION: '', S3_BUCKET: undefined }),
    /^Error: S3_SERVER=env needs AWS_REGION, S3_BUCKET in the environment$/,
  );
  for (const AWS_ENDPOINT_URL_S3 of ['localhost', 'ftp://host', 'http://host/path']) {
    assert.throws(() => readServerVariables({ ...variables, AWS_ENDPOINT_URL_S3 }), /must be http\(s\):\/\//);
  }
  assert.throws(
    () => readServerVariables({ ...variables, S3_LACKS: 'archive,colour' }),
    /no feature: colour; known are anonymous-refusal, archive, .*vouched-delete/,
  );
});
