import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { awsVariables } from '../../../lib/core/settings/keys.ts';
import { isSettingKey, resolveSettings } from '../../../lib/core/settings/settings.ts';
import { assertProblem, resolve } from './resolve.ts';

test('an empty file gives the defaults, sizes in bytes and durations in seconds', () => {
  const { values, aws, problems } = resolve('');
  assert.deepEqual([aws, problems], [{}, []]);
  assert.deepEqual(Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)), {
    IGNORE_NESTED: [],
    S3_ALLOW_HTTP: false,
    S3_ADDRESSING: 'auto',
    S3_CHECKSUMS: 'auto',
    CHUNK_SIZE: 214_748_364_800,
    PART_SIZE: 'auto',
    CONCURRENCY: 4,
    LIMIT_UPLOAD: [],
    LIMIT_DOWNLOAD: [],
    RETRY_FOR: 1800,
    STORAGE_CLASS_CHUNKS: 'DEEP_ARCHIVE',
    STORAGE_CLASS_MANIFEST: 'STANDARD',
    SSE: 'AES256',
    COMPRESSED_SEND: 'auto',
    COMPRESS: 'none',
    ENCRYPT_TO: [],
    FULL_EVERY: 15_552_000,
    INCREMENTAL_EVERY: 604_800,
    KEEP_SNAPSHOTS: 2,
    KEEP_GENERATIONS: 2,
    DRILL: 'off',
    DECRYPT_WITH: '',
    SIGN_WITH: '',
    VERIFY_SIGNERS: '',
    RESTORE_TIER: 'Standard',
    RESTORE_DAYS: 7,
    RESTORE_RATE: 10 * 2 ** 20,
    RESTORE_TIMEOUT: 259_200,
    VERIFY_MODE: 'full',
    VERIFY_SAMPLE_FILES: 1000,
    RUN_DIR: '/var/lib/btrfs-to-s3',
    LOG_FORMAT: 'auto',
    LOG_LEVEL: 'info',
    METRICS_FILE: '',
    NOTIFY_URL: '',
    NOTIFY_COMMAND: '',
    PRICES: '',
    VERIFY_EVERY: 2_592_000,
    PRUNE_EVERY: 'never',
  });
});

for (const [key, nearest] of [
  ['S3_BUCKT', 'S3_BUCKET'],
  ['SUBVOLUME', 'SUBVOLUMES'],
  ['CHUNKSIZE', 'CHUNK_SIZE'],
  ['concurrency', 'CONCURRENCY'],
  ['log_level', 'LOG_LEVEL'],
  ['AWS_SECRET_KEY', 'AWS_SECRET_ACCESS_KEY'],
] as const) {
  test(`the unknown key ${key} is refused, and ${nearest} is proposed`, () => {
    assertProblem(`${key}=x`, new RegExp(`^is not a setting; did you mean ${nearest}\\?$`));
  });
}

test('a secret that stands alone on a line is not taken for the name of a setting', () => {
  for (const secret of ['wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYxx', 'IQoJb3JpZ2luX2VjEJr', 'a', 'deadbeef']) {
    const { problems } = resolve(`${secret}==`);
    assert.deepEqual(problems, [{ line: 1, reason: 'is not a setting, and like none' }]);
  }
});

test('names that every object has are not settings', () => {
  for (const key of ['__proto__', 'constructor', 'toString']) {
    assert.equal(isSettingKey(key), false);
    assert.deepEqual(resolve(`${key}=x`).problems, [{ line: 1, reason: 'is not a setting, and like none' }]);
  }
});

for (const key of [
  'SUBVOLUMES',
  'S3_BUCKET',
  'S3_PREFIX',
  'CHUNK_SIZE',
  'RUN_DIR',
  'LOG_LEVEL',
  'COMPRESS',
  'FULL_EVERY',
]) {
  test(`an empty ${key} is refused`, () => {
    assertProblem(`${key}=`, /has no value; remove the line/);
    assertProblem(`${key}=""`, /has no value; remove the line/);
  });
}

test('keys that are empty by default may be empty', () => {
  const text = 'ENCRYPT_TO=\nDECRYPT_WITH=\nMETRICS_FILE=""\nNOTIFY_URL=\nIGNORE_NESTED=\nSPOOL_DIR=';
  const { problems, values } = resolve(text);
  assert.deepEqual(problems, []);
  assert.equal(values.SPOOL_DIR, undefined);
});

test('a metrics file that node_exporter would not read, and an address that is none, are refused', () => {
  assertProblem('METRICS_FILE=backup.prom', /must be an absolute path that ends in \.prom/);
  assertProblem('METRICS_FILE=/run/backup.txt', /must be an absolute path that ends in \.prom/);
  assertProblem('NOTIFY_URL=hc-ping.com/1', /is not an http/);
  assert.deepEqual(resolve('METRICS_FILE=/run/x.prom\nNOTIFY_URL=https://hc.example.net/1').problems, []);
});

test('all problems of a file are reported at once, contradictions included', () => {
  const { problems } = resolve(
    [
      'S3_BUCKT=x',
      'CHUNK_SIZE=big',
      'CONCURRENCY=0',
      'SSE=aws:kms',
      'AWS_ENDPOINT_URL_S3=http://10.0.0.1',
      'METRICS_FILE=x.prom',
      'AWS_PROFILE=',
    ].join('\n'),
  );
  assert.deepEqual(problems.map(({ line, key }) => `${line} ${key}`).sort(), [
    '1 S3_BUCKT',
    '2 CHUNK_SIZE',
    '3 CONCURRENCY',
    '4 SSE',
    '5 AWS_ENDPOINT_URL_S3',
    '6 METRICS_FILE',
    '7 AWS_PROFILE',
  ]);
});

test('a comment behind a value is named as what is wrong with it', () => {
  assertProblem(
    'DRILL=monthly   # or weekly',
    /^must be one of: .* \(a "#" is part of the value: comments stand on a line/,
  );
  assertProblem('DRILL=monthly#', /^must be one of: [^(]*$/);
});

test('a bad value is reported once, not again as a contradiction', () => {
  for (const text of [
    'SSE=kms\nSSE_KMS_KEY_ID=alias/x',
    'SSE=aws:kms\nSSE_KMS_KEY_ID=',
    'S3_ALLOW_HTTP=yes\nAWS_ENDPOINT_URL_S3=http://10.0.0.1',
    'CHUNK_SIZE=1\nPART_SIZE=5MiB',
  ]) {
    assert.equal(resolve(text).problems.length, 1, text);
  }
});

test('what was set on the command line is placed on line 0', () => {
  const { problems } = resolveSettings([
    { key: 'CONCURRENCY', value: '0', line: 0 },
    { key: 'S3_BUKET', value: 'x', line: 0 },
    { key: 'SSE', value: 'aws:kms', line: 0 },
  ]);
  assert.deepEqual(
    problems.map(({ line, key }) => `${line} ${key}`),
    ['0 S3_BUKET', '0 CONCURRENCY', '0 SSE'],
  );
});

test('a contradiction is placed where the odd value stands', () => {
  const { problems } = resolve('SSE_KMS_KEY_ID=alias/x\nSSE=none');
  assert.deepEqual(problems, [{ line: 1, key: 'SSE_KMS_KEY_ID', reason: 'is for SSE=aws:kms' }]);
});

test('a later line wins, even over one that is wrong', () => {
  const { values, aws, problems } = resolveSettings([
    { key: 'CONCURRENCY', value: 'many', line: 1 },
    { key: 'S3_BUCKET', value: 'from-file', line: 2 },
    { key: 'AWS_PROFILE', value: 'from-file', line: 3 },
    { key: 'S3_BUCKET', value: 'from-set', line: 0 },
    { key: 'CONCURRENCY', value: '8', line: 0 },
    { key: 'AWS_PROFILE', value: 'from-set', line: 0 },
  ]);
  assert.deepEqual(problems, []);
  assert.deepEqual([values.S3_BUCKET, values.CONCURRENCY, aws.AWS_PROFILE], ['from-set', 8, 'from-set']);
});

test('variables of the AWS SDK are passed on as they are, and are no settings', () => {
  const text = awsVariables.map((name) => `${name}=value#of ${name}`).join('\n');
  const { aws, values, problems } = resolve(text);
  assert.deepEqual(problems, []);
  assert.deepEqual(aws, Object.fromEntries(awsVariables.map((name) => [name, `value#of ${name}`])));
  assert.equal(
    Object.keys(values).some((key) => (awsVariables as readonly string[]).includes(key)),
    false,
  );
});

test('region and endpoint are settings, not variables that are passed on', () => {
  const { aws, values } = resolve('AWS_REGION=eu-central-1\nAWS_ENDPOINT_URL_S3=https://s3.example.net');
  assert.deepEqual(aws, {});
  assert.equal(values.AWS_REGION, 'eu-central-1');
});

test('no problem repeats a password of an endpoint', () => {
  const { problems } = resolve('AWS_ENDPOINT_URL_S3=http://user:hunter2@s3.example.net');
  assert.equal(problems.length, 2);
  assert.doesNotMatch(JSON.stringify(problems), /hunter2/);
});

test('aws:kms needs a key, and a key needs aws:kms', () => {
  assertProblem('SSE=aws:kms', /^aws:kms needs SSE_KMS_KEY_ID$/);
  assertProblem('SSE_KMS_KEY_ID=alias/x', /^is for SSE=aws:kms$/);
  assert.deepEqual(resolve('SSE=aws:kms\nSSE_KMS_KEY_ID=alias/x').problems, []);
});

test('part size and chunk size are judged together', () => {
  assert.deepEqual(resolve('PART_SIZE=5MiB\nCHUNK_SIZE=40GiB').problems, []);
  assert.deepEqual(
    resolve('PART_SIZE=5MiB\nCHUNK_SIZE=50GiB').problems.map(({ line, key }) => [line, key]),
    [[1, 'PART_SIZE']],
  );
});

test('no lines make the rules throw', () => {
  const keysOf = fc.oneof(fc.constantFrom(...Object.keys(resolveSettings([]).values)), fc.string());
  const line = fc.record({ key: keysOf, value: fc.string({ unit: 'binary' }), line: fc.nat(9) });
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      const { problems } = resolveSettings(lines);
      for (const problem of problems) {
        assert.notEqual(problem.reason, '');
        assert.notEqual(problem.key ?? problem.line, undefined);
      }
    }),
  );
});
