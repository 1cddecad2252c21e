/** What goes wrong makes no secret known either: servers that repeat a request, lines and options with a mistake. */
import assert from 'node:assert/strict';
import { chmod, rm, writeFile } from 'node:fs/promises';
import { createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { assertClean, assertNothingStays, mistyped, token } from '../end-to-end/marked-secrets.ts';
import { recordChildren } from '../end-to-end/recorded-children.ts';
import { createWorld, errorLines, runProcess, type ScriptResult } from '../end-to-end/world.ts';
import { type FaultyProxy, type ProxiedRequest, startProxy } from '../support/faulty-proxy.ts';

/** Starts something that listens and closes with the test. */
async function listen(t: TestContext, onConnection: (bytes: Buffer) => Buffer | string): Promise<string> {
  const server = createTcpServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (bytes) => socket.end(onConnection(bytes)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const address = server.address();
  return `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
}

/** S3's refusal of a signature, which repeats what was signed. */
function refusal({ method, headers }: ProxiedRequest): string {
  const signed = Object.entries(headers).map(([name, value]) => `${name}:${value}`);
  const canonical = [method, '/', ...signed].join('\n');
  return `<Error><Code>SignatureDoesNotMatch</Code><Message>${canonical}</Message><StringToSign>AWS4-HMAC-SHA256
${canonical}</StringToSign><CanonicalRequest>${canonical}</CanonicalRequest></Error>`;
}

/** Whatever answers with the request itself: the first makes an S3 error of it, the others a page. */
const echoes: Readonly<Record<string, (request: ProxiedRequest) => { status: number; body: string }>> = {
  'refuses the signature and repeats the request': (request) => ({ status: 403, body: refusal(request) }),
  'repeats the request in an unknown error': ({ headers }) => ({
    status: 400,
    body: `<Error><Code>Odd${headers['x-amz-security-token']}</Code><Message>x-amz-security-token=${headers['x-amz-security-token']} authorization: ${headers.authorization}</Message></Error>`,
  }),
  'repeats the request in a transient error': ({ headers }) => ({
    status: 500,
    body: `<Error><Code>InternalError</Code><Message>${headers.authorization} ${headers['x-amz-security-token']}</Message></Error>`,
  }),
  'answers with a page of its own': ({ headers }) => ({
    status: 502,
    body: `<html><body>${headers.authorization} <${headers['x-amz-security-token']}`,
  }),
  'answers with something else entirely': ({ headers }) => ({
    status: 200,
    body: `{"authorization":"${headers.authorization}","token":"${headers['x-amz-security-token']}"`,
  }),
};

function echo(
  proxy: FaultyProxy,
  answer: (request: ProxiedRequest) => { status: number; body: string },
): void {
  proxy.expect({
    matches: () => true,
    before: () => {
      const { status, body } = answer(proxy.requests.at(-1) ?? assert.fail('a request came'));
      return { status, headers: { 'content-type': 'application/xml' }, body: Buffer.from(body) };
    },
  });
}

test('no failure makes a secret known: each is one line and a documented exit code', async (t) => {
  const world = await createWorld(t, { LOG_LEVEL: 'debug', RETRY_FOR: '2s', AWS_SESSION_TOKEN: token });
  const children = await recordChildren(world.directory);
  await writeFile(join(world.data, 'file'), '1');
  await world.backup();
  await writeFile(join(world.data, 'file'), '2');
  for (const script of ['snapshot.ts', 'send-chunk-upload.ts']) await world.run(script);
  const proxy = await startProxy(world.server.port);
  world.cleanUp(() => proxy.stop());

  const run = async (
    script: string,
    changes: Readonly<Record<string, string | undefined>>,
    ...args: string[]
  ) => {
    const config = await world.settingsFile(changes);
    const environment = { PATH: children.path };
    return runProcess('scripts/tsx.sh', [`scripts/${script}`, '--config', config, ...args], environment);
  };
  const fails = async (what: string, result: Promise<ScriptResult>, codes: readonly number[] = [1]) => {
    const { exitCode, stdout, stderr } = await result;
    assert.ok(codes.includes(exitCode ?? -1), `${what}: ${exitCode} ${stderr}`);
    assertClean(stdout + stderr, what);
    assert.doesNotMatch(stderr, /this is a defect/, what);
    if (stderr.startsWith('{')) assert.equal(errorLines({ exitCode, stdout, stderr }).length, 1, stderr);
  };
  const scripts: readonly (readonly [string, ...string[]])[] = [
    ['snapshot.ts', '--dry-run'],
    ['send-chunk-upload.ts'],
    ['list.ts'],
    ['thaw.ts', '--subvolume', 'data'],
    ['verify.ts', '--deep'],
    ['restore.ts', '--subvolume', 'data', '--target', join(world.mount, 'restored')],
  ];

  for (const [what, answer] of Object.entries(echoes)) {
    await t.test(`a server that ${what}`, async () => {
      echo(proxy, answer);
      const at = { AWS_ENDPOINT_URL_S3: proxy.endpoint };
      const runs = scripts.map(([script, ...options], index) => {
        const changes = { ...at, LOG_FORMAT: index % 2 === 0 ? 'json' : 'pretty' };
        return fails(`${script}, ${what}`, run(script, changes, ...options), [1, 2, 4]);
      });
      await Promise.all(runs);
      assert.ok(
        proxy.requests.some(({ headers }) => headers['x-amz-security-token'] === token),
        'it was sent',
      );
    });
  }

  const plain = await listen(t, () => 'HTTP/1.1 200 OK\r\n\r\n');
  const garbage = await listen(t, (bytes) => Buffer.concat([Buffer.from('\u001b]0;'), bytes]));
  const others: readonly (readonly [string, Readonly<Record<string, string | undefined>>, number])[] = [
    ['a wrong secret', { AWS_SECRET_ACCESS_KEY: mistyped }, 1],
    ['a wrong key', { AWS_ACCESS_KEY_ID: 'wrong' }, 1],
    ['a secret in the place of the key', { AWS_ACCESS_KEY_ID: mistyped }, 1],
    ['a server that is down', { AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:1' }, 1],
    ['a server without TLS', { AWS_ENDPOINT_URL_S3: `https://${plain}` }, 1],
    ['a server that does not speak HTTP', { AWS_ENDPOINT_URL_S3: `http://${garbage}` }, 1],
    ['credentials in the address', { AWS_ENDPOINT_URL_S3: 'https://user:pass-of-the-address@127.0.0.1' }, 2],
    ['an address that is none', { AWS_ENDPOINT_URL_S3: 'https//user:pass-of-the-address@127.0.0.1' }, 2],
    [
      'an address for notifications that is none',
      { NOTIFY_URL: 'https//user:pass-of-the-address@127.0.0.1' },
      2,
    ],
    ['a key with a letter less', { AWS_SECRET_ACCES_KEY: mistyped }, 2],
    ['a key that is none', { [mistyped.replaceAll(/\W/g, '')]: '' }, 2],
    ['a secret in the place of a setting', { CONCURRENCY: mistyped }, 2],
  ];
  for (const [what, changes, code] of others) {
    await t.test(what, async () => {
      const runs = ['json', 'pretty'].map((format) => run('list.ts', { ...changes, LOG_FORMAT: format }));
      for (const result of runs) await fails(what, result, [code]);
    });
  }

  for (const line of [
    `AWS_SESSION_TOKEN ${mistyped}`,
    `AWS_SESSION_TOKEN="${mistyped}`,
    `AWS_SECRET_ACCESS_KEY=${mistyped}`,
    `${mistyped.replaceAll(/\W/g, '')}==`,
    mistyped,
  ]) {
    await t.test(`a line such as: ${line.replaceAll(/wJ\w+\S*/g, '…')}`, async () => {
      const config = await world.settingsFile();
      await writeFile(config, `${line}\n`, { flag: 'a' });
      const result = runProcess('scripts/tsx.sh', ['scripts/list.ts', '--config', config]);
      await fails(line, result, [2]);
      const { stderr } = await result;
      assert.doesNotMatch(stderr, /wJalrXUtnFEMI/);
      assert.match(stderr, /settings-\d+\.env:\d+: /, 'the line is named');
    });
  }

  await t.test('an address with credentials in the environment', async () => {
    const config = await world.settingsFile({ AWS_ENDPOINT_URL_S3: undefined });
    const environment = { AWS_ENDPOINT_URL_S3: 'https://user:pass-of-the-address@127.0.0.1' };
    const args = ['scripts/list.ts', '--config', config];
    await fails('the environment', runProcess('scripts/tsx.sh', args, environment), [2]);
  });

  await t.test('a settings file that others can read is refused', async () => {
    const config = await world.settingsFile();
    await chmod(config, 0o640);
    const result = runProcess('scripts/tsx.sh', ['scripts/list.ts', '--config', config]);
    await fails('mode 640', result, [2]);
    assert.match((await result).stderr, /holds a secret, but others can read it/);
    await rm(config);
  });

  await assertNothingStays(world, children);
});
