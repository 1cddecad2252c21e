/** Which servers are reached through the proxy, as curl and the aws command decide it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proxyFor } from '../../../../lib/edge/s3/server/proxy.ts';

const HTTPS_PROXY = 'http://proxy.corp:3128';
const viaProxy = (server: string, NO_PROXY?: string) =>
  proxyFor(new URL(server), { HTTPS_PROXY, NO_PROXY })?.href;

test('an https server is reached through the proxy, a plain one is not, and none without a proxy', () => {
  assert.equal(viaProxy('https://s3.example.net'), 'http://proxy.corp:3128/');
  assert.equal(viaProxy('http://s3.example.net'), undefined);
  const none = { HTTPS_PROXY: undefined, NO_PROXY: undefined };
  assert.equal(proxyFor(new URL('https://s3.example.net'), none), undefined);
});

for (const [server, list] of [
  ['https://s3.corp', '*'],
  ['https://s3.corp', 's3.corp'],
  ['https://S3.Corp', 's3.CORP'],
  ['https://s3.corp', 'localhost, corp'],
  ['https://s3.corp', 'localhost .corp'],
  ['https://bucket.s3.corp', 's3.corp'],
  ['https://s3.corp', '*.corp'],
  ['https://s3.corp:9000', 's3.corp:9000'],
  ['https://s3.corp', 's3.corp:443'],
  ['https://10.1.2.3', '10.0.0.0/8'],
  ['https://10.1.2.3', '10.1.2.3'],
  ['https://[fd00::5]:9000', 'fd00::/8'],
  ['https://[fd00::5]:9000', 'fd00::5'],
  ['https://[fd00::5]:9000', '[fd00::5]:9000'],
] as const) {
  test(`NO_PROXY=${list} exempts ${server}`, () => assert.equal(viaProxy(server, list), undefined));
}

for (const [server, list] of [
  ['https://s3.corp', ''],
  ['https://s3.corp', 's3.corporation'],
  ['https://mys3.corp', 's3.corp'],
  ['https://s3.corp.example', 'corp'],
  ['https://s3.corp', 's3.corp:9000'],
  ['https://11.1.2.3', '10.0.0.0/8'],
  ['https://s3.corp', '10.0.0.0/8'],
  ['https://10.1.2.3', '2.3'],
  ['https://10.1.2.3', '10.0.0.0/99'],
  ['https://10.1.2.3', '10.0.0.0/'],
] as const) {
  test(`NO_PROXY=${list} does not exempt ${server}`, () =>
    assert.equal(viaProxy(server, list), 'http://proxy.corp:3128/'));
}
