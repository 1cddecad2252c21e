import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readRecipientLines } from '../../../lib/core/settings/recipients.ts';
import { assertProblem, resolve } from './resolve.ts';

const age = 'age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z';
const ed25519 = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN9VaIGAuIPtJeAuSQbDCd0kp2jQ0vgOyuYSmIHNZ8NM';
const rsa = 'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7';
const secret = 'AGE-SECRET-KEY-1QQPPQ8Z';

for (const [text, expected] of [
  ['', []],
  ['  ', []],
  [age, [{ key: age }]],
  [`${age} , ${ed25519} root@nas`, [{ key: age }, { key: ed25519 }]],
  [`${rsa}== a comment, /etc/recipients`, [{ key: `${rsa}==` }, { file: '/etc/recipients' }]],
  ['age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t', undefined],
] as const) {
  test(`ENCRYPT_TO=${text.slice(0, 40)} means ${expected?.length ?? 1} recipients`, () => {
    const { values, problems } = resolve(`ENCRYPT_TO=${text}`);
    assert.deepEqual(problems, []);
    assert.deepEqual(values.ENCRYPT_TO, expected ?? [{ key: text }]);
  });
}

for (const [text, says] of [
  [secret, /^item 1 is a secret key; recipients are public ones/],
  [`${age},-----BEGIN ${'OPENSSH'} PRIVATE KEY-----`, /^item 2 is a secret key/],
  ['ecdsa-sha2-nistp256 AAAA', /^item 1 is an SSH key of the type ecdsa-sha2-nistp256/],
  ['sk-ssh-ed25519@openssh.com AAAA', /^item 1 is an SSH key of the type sk-ssh-ed25519@openssh\.com/],
  [`${age},`, /^item 2 is empty$/],
  ['recipients.txt', /^item 1 is not a public key: .*; nor the absolute path of a file of them$/],
  ['ssh-ed25519', /^item 1 is not a public key/],
  ['age1XYZ', /^item 1 is not a public key/],
] as const) {
  test(`ENCRYPT_TO=${text.slice(0, 40)} is refused, and nothing of it is repeated`, () => {
    assertProblem(`ENCRYPT_TO=${text}`, says);
    assert.doesNotMatch(JSON.stringify(resolve(`ENCRYPT_TO=${text}`).problems), /QQPPQ8|recipients\.txt/);
  });
}

test('a recipients file has a public key a line, blank lines and comments', () => {
  const read = readRecipientLines(`# mine\n\n${age}\r\n  ${ed25519} me@home\n`);
  assert.deepEqual(read, { keys: [age, ed25519] });
});

for (const [text, says] of [
  ['# nobody\n', /^there is no recipient in it$/],
  [`${age}\n${secret}\n`, /^line 2 is a secret key/],
  // age passes over it with a warning.
  [`${age}\nssh-dss AAAA\n`, /^line 2 is not a public key/],
  [`ecdsa-sha2-nistp256 AAAA me\n`, /^line 1 is an SSH key of the type ecdsa-sha2-nistp256/],
] as const) {
  test(`a recipients file is refused: ${says.source}`, () => {
    const { problem } = { problem: undefined, ...readRecipientLines(text) };
    assert.match(problem ?? '', says);
    assert.doesNotMatch(problem ?? '', /QQPPQ8/);
  });
}

test('DECRYPT_WITH is an absolute path, or empty', () => {
  assert.equal(resolve('DECRYPT_WITH=/root/key').values.DECRYPT_WITH, '/root/key');
  assert.equal(resolve('DECRYPT_WITH=').values.DECRYPT_WITH, '');
  assertProblem('DECRYPT_WITH=key', /must be an absolute path/);
});

test('what cannot be stored with a codec is refused', () => {
  const own = 'AWS_ENDPOINT_URL_S3=https://s3.example.net';
  const r2 = 'AWS_ENDPOINT_URL_S3=https://account.r2.cloudflarestorage.com';
  for (const [text, key, says] of [
    ['COMPRESS=zstd\nPART_SIZE=2GiB', 'PART_SIZE', /must not be above 1\.00 GiB with COMPRESS or ENCRYPT_TO/],
    [`ENCRYPT_TO=${age}\nCHUNK_SIZE=5TiB\n${own}`, 'CHUNK_SIZE', /is too large with COMPRESS or ENCRYPT_TO/],
    [`CHUNK_SIZE=6TiB\n${own}`, 'CHUNK_SIZE', /must not be above 5 TiB on other servers than those of AWS/],
    [
      `COMPRESS=zstd\n${r2}`,
      'COMPRESS',
      /which Cloudflare R2 refuses: set CHUNK_SIZE no larger than PART_SIZE/,
    ],
  ] as const) {
    const { problems } = resolve(text);
    assert.deepEqual(
      problems.map((problem) => problem.key),
      [key],
      text,
    );
    assert.match(problems[0]?.reason ?? '', says);
  }
  for (const text of [
    'PART_SIZE=2GiB',
    'CHUNK_SIZE=48TiB',
    `ENCRYPT_TO=${age}\nCHUNK_SIZE=5TiB`,
    `CHUNK_SIZE=5TiB\n${own}`,
    'CHUNK_SIZE=6TiB\nAWS_ENDPOINT_URL_S3=https://s3.eu-central-1.amazonaws.com',
    'COMPRESS=zstd\nPART_SIZE=1GiB',
    `ENCRYPT_TO=${age}\n${r2}`,
    `COMPRESS=zstd\nCHUNK_SIZE=1GiB\nPART_SIZE=1GiB\n${r2}`,
  ]) {
    assert.deepEqual(resolve(text).problems, [], text);
  }
});
