import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settingRules } from '../../../lib/core/settings/key-rules.ts';
import { awsVariables, notesOf, type SettingKey, settingKeys } from '../../../lib/core/settings/keys.ts';
import { resolveSettings } from '../../../lib/core/settings/settings.ts';

/** The defaults that people's settings depend on; undefined: none. */
const documented: Record<SettingKey, string | undefined> = {
  SUBVOLUMES: undefined,
  SNAPSHOT_DIR: undefined,
  IGNORE_NESTED: '',
  S3_BUCKET: undefined,
  S3_PREFIX: undefined,
  AWS_REGION: undefined,
  AWS_ENDPOINT_URL_S3: undefined,
  S3_ALLOW_HTTP: 'false',
  S3_ADDRESSING: 'auto',
  S3_CHECKSUMS: 'auto',
  HTTPS_PROXY: undefined,
  NO_PROXY: undefined,
  AWS_CA_BUNDLE: undefined,
  CHUNK_SIZE: '200GiB',
  PART_SIZE: 'auto',
  RETRY_FOR: '30m',
  CONCURRENCY: '4',
  LIMIT_UPLOAD: 'none',
  LIMIT_DOWNLOAD: 'none',
  STORAGE_CLASS_CHUNKS: 'DEEP_ARCHIVE',
  STORAGE_CLASS_MANIFEST: 'STANDARD',
  SSE: 'AES256',
  SSE_KMS_KEY_ID: undefined,
  COMPRESSED_SEND: 'auto',
  COMPRESS: 'none',
  ENCRYPT_TO: '',
  SIGN_WITH: '',
  DECRYPT_WITH: '',
  VERIFY_SIGNERS: '',
  FULL_EVERY: '180d',
  INCREMENTAL_EVERY: '7d',
  KEEP_SNAPSHOTS: '2',
  KEEP_GENERATIONS: '2',
  DRILL: 'off',
  RESTORE_TIER: 'Standard',
  RESTORE_DAYS: '7',
  RESTORE_RATE: '10MiB',
  RESTORE_TIMEOUT: '72h',
  SPOOL_DIR: '',
  VERIFY_MODE: 'full',
  VERIFY_SAMPLE_FILES: '1000',
  RUN_DIR: '/var/lib/btrfs-to-s3',
  LOG_FORMAT: 'auto',
  LOG_LEVEL: 'info',
  METRICS_FILE: '',
  NOTIFY_URL: '',
  NOTIFY_COMMAND: '',
  PRICES: '',
  VERIFY_EVERY: '30d',
  PRUNE_EVERY: 'never',
};

test('the keys and their defaults are the documented ones', () => {
  assert.deepEqual(Object.fromEntries(settingKeys.map((key) => [key, notesOf(key).preset])), documented);
});

for (const key of settingKeys) {
  const notes = notesOf(key);
  test(`${key} is explained in a section`, () => {
    assert.match(notes.section, /\w/);
    assert.match(notes.about, /\w.*\w/);
  });
  test(`${key} has a default that its own rule accepts, or an example for the file`, () => {
    const text = notes.preset ?? notes.example;
    assert.equal(settingRules[key].safeParse(text).success, true);
  });
}

test('a file of every default and example is accepted, and the defaults are what an empty file means', () => {
  const lines = settingKeys
    .filter((key) => key !== 'SSE_KMS_KEY_ID')
    .map((key, index) => {
      const { preset, example } = notesOf(key);
      return { key, value: preset ?? example ?? '', line: index + 1 };
    });
  const { values, problems } = resolveSettings(lines);
  assert.deepEqual(problems, []);
  const empty = resolveSettings([]).values;
  for (const key of settingKeys.filter((name) => documented[name] !== undefined))
    assert.deepEqual(values[key], empty[key]);
});

test('no key is both ours and a variable of the AWS SDK', () => {
  assert.deepEqual(
    awsVariables.filter((name) => settingKeys.includes(name as SettingKey)),
    [],
  );
});
