import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { generatedFiles } from '../../testing/harness/generated-files.ts';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { repositoryFiles } from '../support/repository-files.ts';

const textOf = (path: string) => readFileSync(join(repositoryRoot, path), 'utf8');

for (const [path, text] of await generatedFiles()) {
  test(`${path} is what the code would make; if not: make schema`, () => {
    assert.equal(textOf(path), text);
  });
}

test('the table in config/README.md is between marks that are there once', () => {
  const readme = textOf('config/README.md');
  for (const mark of ['<!-- settings: made by "make schema" -->', '<!-- end of settings -->']) {
    assert.equal(readme.split(mark).length, 2, mark);
  }
});

test('every dependency is pinned to one version, and the lockfile has that one', () => {
  const { dependencies, devDependencies } = JSON.parse(textOf('package.json'));
  const lock = JSON.parse(textOf('package-lock.json'));
  const all = Object.entries<string>({ ...dependencies, ...devDependencies });
  assert.ok(all.length > 15);
  for (const [name, version] of all) {
    assert.match(version, /^\d+\.\d+\.\d+(-[\w.]+)?$/, name);
    assert.equal(lock.packages[`node_modules/${name}`]?.version, version, name);
  }
});

/** Values that look like credentials. S3's documentation marks its examples with EXAMPLE. */
const credentials: readonly (readonly [string, RegExp])[] = [
  ['an access key id', /\b(?:AKIA|ASIA|AIDA|AROA)(?![0-9A-Z]*EXAMPLE)[0-9A-Z]{16}\b/],
  [
    'a secret key',
    /(?:secret|session.?token)[\w-]*["']?\s*[:=]\s*["'`]?(?![\w/+]*EXAMPLE)(?=[A-Za-z0-9/+]*[0-9])(?=[A-Za-z0-9/+]*[A-Z])(?=[A-Za-z0-9/+]*[a-z])[A-Za-z0-9/+]{40,}/i,
  ],
  ['a private key', /-----BEGIN [A-Z ]*PRIVATE KEY-----/],
  ['an age identity', /AGE-SECRET-KEY-1[0-9A-Z]{50,}/],
];

test('what looks like a credential is known when it is seen', () => {
  const random = 'wJa1rXUtnFEMI'.repeat(4).slice(0, 40);
  const samples = [
    `AKIA${'Q7'.repeat(8)}`,
    `AWS_SECRET_ACCESS_KEY=${random}`,
    `"secretAccessKey": "${random}"`,
    `-----BEGIN ${'RSA'} PRIVATE KEY-----`,
    `AGE-SECRET-KEY-1${'Q7'.repeat(29)}`,
  ];
  for (const sample of samples)
    assert.ok(
      credentials.some(([, pattern]) => pattern.test(sample)),
      sample,
    );
  for (const sample of [
    `AKIA${'IOSFODNN7'}EXAMPLE`,
    'AWS_SECRET_ACCESS_KEY=',
    'secretAccessKey: account.secretAccessKey',
  ]) {
    assert.ok(!credentials.some(([, pattern]) => pattern.test(sample)), sample);
  }
});

test('no file holds anything that looks like a credential', () => {
  const files = repositoryFiles();
  assert.ok(files.length > 80);
  const found = files.flatMap((path) => {
    const text = textOf(path);
    return credentials.filter(([, pattern]) => pattern.test(text)).map(([what]) => `${path} holds ${what}`);
  });
  assert.deepEqual(found, []);
});

test('no settings file of anybody is among the files', () => {
  assert.deepEqual(
    repositoryFiles().filter((path) => /^config\/.*\.env$/.test(path)),
    [],
  );
});
