// Alone: loading settings sets variables of the SDK.
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadSettings } from '../../../lib/cli/options/load-settings.ts';
import { exitCodeOf, ToolError } from '../../../lib/core/errors.ts';
import { shell } from '../../../testing/harness/processes/shell.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('load-settings');
const file = join(directory, 'backup.env');

function write(lines: readonly string[], mode = 0o600): void {
  writeFileSync(file, `${lines.join('\n')}\n`);
  chmodSync(file, mode);
}

const complete = ['SUBVOLUMES=/data', 'SNAPSHOT_DIR=/data/.snapshots', 'S3_BUCKET=backups'];
const secret = 'AWS_SECRET_ACCESS_KEY=not-a-secret';

async function problemsOf(
  sets: readonly string[] = [],
  needs: 'bucket' | 'sources and bucket' = 'sources and bucket',
) {
  const { check } = await loadSettings(file, sets);
  const error: unknown = await check(needs).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ToolError, 'there are problems');
  assert.equal(exitCodeOf(error), 2);
  return error;
}

test('a good file gives values and defaults, and passes the check', async () => {
  write([...complete, '# a comment', '', 'export CONCURRENCY=7', 'S3_PREFIX="a#b"']);
  const { values, check } = await loadSettings(file, []);
  await check('sources and bucket');
  assert.deepEqual([values.CONCURRENCY, values.S3_PREFIX, values.KEEP_SNAPSHOTS], [7, 'a#b', 2]);
  assert.deepEqual(values.SUBVOLUMES, [{ name: 'data', path: '/data' }]);
});

test('all problems come at once, each with file, line, key and reason', async () => {
  write([
    ...complete,
    'nonsense',
    'S3_BUKET=x',
    'CONCURRENCY=0',
    'CONCURRENCY=2',
    'S3_PREFIX="open',
    'RUN_DIR=relative',
  ]);
  const lines = (await problemsOf(['LOG_LEVEL=loud', 'no-equals'])).message.split('\n');
  const beginnings = [
    `${file}:4: the line is not KEY=VALUE`,
    `${file}:5: S3_BUKET is not a setting; did you mean S3_BUCKET?`,
    `${file}:6: CONCURRENCY must be a whole number from 1 to 64`,
    `${file}:7: CONCURRENCY is already set on line 6`,
    `${file}:8: S3_PREFIX the quote " is not closed`,
    `${file}:9: RUN_DIR must be an absolute path`,
    '--set: LOG_LEVEL must be one of',
    '--set: the line is not KEY=VALUE',
  ];
  assert.equal(lines.length, beginnings.length, lines.join('\n'));
  for (const beginning of beginnings)
    assert.ok(
      lines.some((line) => line.startsWith(beginning)),
      beginning,
    );
});

test('what a script needs and is not set is named, for restore the bucket alone', async () => {
  write(['CONCURRENCY=1']);
  assert.deepEqual(
    (await problemsOf()).message.split('\n'),
    ['SUBVOLUMES', 'SNAPSHOT_DIR', 'S3_BUCKET'].map((key) => `${file}: ${key} is not set, but is required`),
  );
  assert.equal((await problemsOf([], 'bucket')).message, `${file}: S3_BUCKET is not set, but is required`);
  write(['S3_BUCKET=backups']);
  await (await loadSettings(file, [])).check('bucket');
});

test('SNAPSHOT_DIR is needed where a snapshot is taken, not where others take them all', async () => {
  const adopted = 'home=snapshots:/home/.snapshots/*/snapshot';
  write(['S3_BUCKET=backups', `SUBVOLUMES=${adopted}`]);
  await (await loadSettings(file, [])).check('sources and bucket');
  write(['S3_BUCKET=backups', `SUBVOLUMES=${adopted},/data`]);
  assert.equal((await problemsOf()).message, `${file}: SNAPSHOT_DIR is not set, but is required`);
});

test('--set wins over the file, and the last of several over the others', async () => {
  write([...complete, 'CONCURRENCY=7', 'KEEP_SNAPSHOTS=0']);
  const { values, check } = await loadSettings(file, ['CONCURRENCY=8', 'KEEP_SNAPSHOTS=3', 'CONCURRENCY=9']);
  await check('sources and bucket');
  assert.deepEqual([values.CONCURRENCY, values.KEEP_SNAPSHOTS], [9, 3]);
});

for (const mode of [0o644, 0o640, 0o604, 0o660, 0o610]) {
  test(`a file with a secret and mode ${mode.toString(8)} is refused, one without is not`, async () => {
    write([...complete, secret], mode);
    const error = await problemsOf();
    assert.equal(error.message, `${file} holds a secret, but others can read it (mode ${mode.toString(8)})`);
    assert.equal(error.hint, `run: chmod 600 ${file}`);
    write([...complete, 'AWS_SESSION_TOKEN=x'], mode);
    await problemsOf();
    write(complete, mode);
    await (await loadSettings(file, [])).check('sources and bucket');
  });
}

test("the SDK's variables reach the environment once all is well, and not before", async () => {
  delete process.env.AWS_ACCESS_KEY_ID;
  delete process.env.AWS_SECRET_ACCESS_KEY;
  write([...complete, 'AWS_ACCESS_KEY_ID=account', secret, 'CONCURRENCY=0']);
  await problemsOf();
  assert.equal(process.env.AWS_ACCESS_KEY_ID, undefined);
  const { check } = await loadSettings(file, ['CONCURRENCY=1']);
  assert.equal(process.env.AWS_ACCESS_KEY_ID, undefined);
  await check('bucket');
  assert.deepEqual(
    [process.env.AWS_ACCESS_KEY_ID, process.env.AWS_SECRET_ACCESS_KEY],
    ['account', 'not-a-secret'],
  );
});

test('no problem repeats a secret, however it was mistyped', async () => {
  const value = 'wJa1rXUtnFEMI';
  for (const line of [
    `AWS_SECRET_ACCESS_KEY ${value}`,
    `AWS_SECRET_KEY=${value}`,
    `AWS-SECRET-ACCESS-KEY=${value}`,
    `AWS_SECRET_ACCESS_KEY="${value}`,
    `AWS_SECRET_ACCESS_KEY="${value}" x`,
    `AWS_SECRET_ACCES_KEY=${value}`,
    `${value}==`,
    `export ${value}=`,
    value,
  ]) {
    write([...complete, line]);
    assert.doesNotMatch((await problemsOf()).message, new RegExp(value), line);
    write(complete);
    assert.doesNotMatch((await problemsOf([line])).message, new RegExp(value), `--set ${line}`);
  }
});

for (const key of ['AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN']) {
  test(`${key} is refused on the command line, where every user can read it, and not repeated`, async () => {
    write(complete);
    assert.equal(
      (await problemsOf([`${key}=wJa1rXUtnFEMI`])).message,
      `--set: ${key} is a secret, which others can see in the list of processes; put it into the file`,
    );
    assert.match((await problemsOf([`export ${key}="wJa1rXUtnFEMI"`])).message, /is a secret/);
  });
}

test('a file that is not there, or cannot be read, is named with what to do', async () => {
  await assert.rejects(loadSettings(join(directory, 'none.env'), []), (error: ToolError) => {
    assert.equal(exitCodeOf(error), 2);
    assert.match(error.message, /the settings file .*none\.env does not exist/);
    assert.match(error.hint ?? '', /backup\.env\.example/);
    return true;
  });
  await assert.rejects(loadSettings(join(file, 'x'), []), /cannot read the settings file .*not a directory/);
});

const utf16 = (text: string) => Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, 'utf16le')]);

for (const [what, content, says] of [
  ['UTF-16, as Notepad saves it', utf16(complete.join('\r\n')), /backup\.env:1 is not UTF-8 text/],
  [
    'a path of bytes that are no UTF-8',
    Buffer.concat([Buffer.from('# comment\nSUBVOLUMES=/data/'), Buffer.from([0xff, 0x0a])]),
    /backup\.env:2 is not UTF-8 text; paths with other bytes cannot be named/,
  ],
  [
    'binary garbage',
    Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0xfe, 0x00, 0x80]),
    /backup\.env:1 is not UTF-8 text/,
  ],
  ['one line of 10 MB', Buffer.alloc(10_000_000, 'A'), /has more than 1048576 bytes/],
] as const) {
  test(`a settings file of ${what} is refused`, async () => {
    writeFileSync(file, content);
    await assert.rejects(loadSettings(file, []), (error: ToolError) => {
      assert.equal(exitCodeOf(error), 2);
      assert.match(error.message, says);
      assert.match(error.hint ?? '', /backup\.env\.example/);
      return true;
    });
  });
}

const fifo = join(directory, 'fifo');
await shell`mkfifo ${fifo}`;
for (const path of [directory, fifo, '/dev/zero', '/dev/null', '/dev/random']) {
  test(`${path === directory ? 'a directory' : path} as settings file is refused at once`, {
    timeout: 20_000,
  }, async () => {
    await assert.rejects(loadSettings(path, []), (error: ToolError) => {
      assert.equal(exitCodeOf(error), 2);
      assert.match(error.message, /is not a regular file$/);
      return true;
    });
  });
}

for (const [what, text, says] of [
  ['a NUL', 'S3_BUCKET=a\0b\n', /:1: the line contains a NUL/],
  ['line ends of CR alone', complete.join('\r'), /:1: the line contains a line break other than LF or CR LF/],
  ['an unterminated quote', "S3_BUCKET='a\nSNAPSHOT_DIR=/x\n", /:1: S3_BUCKET the quote ' is not closed/],
  ['an escape in a path', 'SUBVOLUMES=\u001b[2Jx\n', /SUBVOLUMES "\\u001b\[2Jx" is neither/],
  ['a line break in a value', 'SUBVOLUMES="a\\nb"\n', /SUBVOLUMES "a\\nb" is neither/],
] as const) {
  test(`a settings file with ${what} is refused on one line that a terminal can show`, async () => {
    writeFileSync(file, text);
    const { message } = await problemsOf([], 'bucket');
    assert.match(message, says);
    assert.doesNotMatch(message.replaceAll('\n', ''), /\p{Cc}/u);
  });
}

test('a byte order mark and CR LF line ends are as good as none', async () => {
  writeFileSync(file, `\uFEFF${complete.join('\r\n')}\r\n`, { mode: 0o600 });
  const { values, check } = await loadSettings(file, []);
  await check('sources and bucket');
  assert.equal(values.S3_BUCKET, 'backups');
  assert.equal(values.SNAPSHOT_DIR, '/data/.snapshots');
});

test('of thousands of problems the first are reported, and how many there are, each in a length that can be read', async () => {
  write(Array.from({ length: 5000 }, (_, index) => `KEY_${index}=${index}`));
  const lines = (await problemsOf()).message.split('\n');
  assert.equal(lines.length, 21);
  assert.equal(lines.at(-1), 'and 4980 more problems');
  write([`${'K'.repeat(60_000)}=1`]);
  assert.ok((await problemsOf()).message.length < 1100, 'it is cut');
});

for (const text of [
  '',
  '=',
  'S3_BUCKET',
  'S3_BUCKET="x',
  '\uFEFFS3_BUCKET=x',
  'S3 BUCKET=x',
  '__proto__=x',
  'A\u001b=x',
]) {
  test(`--set ${JSON.stringify(text)} is refused on one line`, async () => {
    write(complete);
    const lines = (await problemsOf([text])).message.split('\n');
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? '', /^--set: /);
    assert.doesNotMatch(lines.join(), /\p{Cc}/u);
  });
}

test('an endpoint in the environment follows the rules of ours, and a file wins over it', async () => {
  process.env.AWS_ENDPOINT_URL_S3 = 'http://s3.example.net';
  try {
    write(complete);
    const { check } = await loadSettings(file, []);
    await assert.rejects(check('bucket'), /the environment: AWS_ENDPOINT_URL_S3 is not encrypted/);
    write([...complete, 'AWS_ENDPOINT_URL_S3=https://other.example.net']);
    const { values } = await loadSettings(file, []);
    assert.equal(values.AWS_ENDPOINT_URL_S3, 'https://other.example.net');
  } finally {
    delete process.env.AWS_ENDPOINT_URL_S3;
  }
});

test('proxy and certificates may come from the environment, as curl spells them, and the file wins', async () => {
  const before = { ...process.env };
  try {
    Object.assign(process.env, {
      https_proxy: 'proxy.corp:3128',
      HTTPS_PROXY: 'http://other.corp',
      NO_PROXY: 'localhost',
      AWS_CA_BUNDLE: '/etc/ssl/corp.pem',
    });
    write(complete);
    const { values } = await loadSettings(file, []);
    assert.deepEqual(
      [values.HTTPS_PROXY, values.NO_PROXY, values.AWS_CA_BUNDLE],
      ['http://proxy.corp:3128', 'localhost', '/etc/ssl/corp.pem'],
    );
    write([...complete, 'HTTPS_PROXY=https://mine.corp', 'NO_PROXY=*', 'AWS_CA_BUNDLE=/root/ca.pem']);
    const own = (await loadSettings(file, [])).values;
    assert.deepEqual(
      [own.HTTPS_PROXY, own.NO_PROXY, own.AWS_CA_BUNDLE],
      ['https://mine.corp', '*', '/root/ca.pem'],
    );
  } finally {
    for (const name of ['https_proxy', 'HTTPS_PROXY', 'NO_PROXY', 'AWS_CA_BUNDLE']) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
});

test("a proxy's password is a secret: refused on a command line, and in a file that others can read", async () => {
  const proxy = 'HTTPS_PROXY=http://me:word@proxy.corp:3128';
  write(complete);
  const { message } = await problemsOf([proxy]);
  assert.match(message, /^--set: HTTPS_PROXY is a secret/);
  assert.ok(!message.includes('word'));
  write([...complete, proxy], 0o644);
  assert.match((await problemsOf()).message, /holds a secret, but others can read it/);
  write([...complete, 'HTTPS_PROXY=http://proxy.corp:3128'], 0o644);
  await (await loadSettings(file, [])).check('sources and bucket');
});
