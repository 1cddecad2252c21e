/** recover.sh before it fetches a chunk: what it is filled in with, list, thaw, and how it refuses. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { recoverScript } from '../../../lib/core/recovery/recover-script.ts';
import { standInAws } from '../../support/aws-standin.ts';
import {
  bucketWith,
  type Document,
  endOf,
  first,
  keyOf,
  manifestOf,
  place,
  root,
  second,
  template,
} from '../../support/recover-bucket.ts';
import { bareHost } from '../../support/recover-sh.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('recover-script');
/** The settings of a script, as bash understands them. */
function settingsOf(script: string): readonly string[] {
  const lines = script
    .split('\n')
    .filter((line) => /^(bucket|prefix|region|endpoint|addressing)=/.test(line));
  const code = `set -eu\n${lines.join('\n')}\nprintf '%s\\n' "$bucket" "$prefix" "$region" "$endpoint" "$addressing"`;
  const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', code], { cwd: directory, encoding: 'utf8' });
  assert.equal(stderr, '');
  return stdout.split('\n').slice(0, -1);
}

test('what a prefix or an endpoint says never becomes code', () => {
  const names = [
    "it's $(touch pwned) `touch pwned`",
    "'; touch pwned; '",
    "'@PREFIX@'$&",
    'a\\',
    '-x "y"',
    '@REGION@',
  ];
  for (const name of names) {
    const endpoint = `https://example.net/${name}`;
    const script = recoverScript(template, { ...place, prefix: name, endpoint });
    assert.deepEqual(settingsOf(script), ['my-backups', name, 'eu-central-1', endpoint, '']);
  }
  assert.throws(() => readFileSync(join(directory, 'pwned')));
});

test('a prefix full of shell is listed and thawed like any other', async () => {
  const { bucket } = await bucketWith(directory);
  const odd = 'it\'s "x" $(touch pwned) `touch pwned` a[$(touch pwned)] *';
  const at = join(directory, 'odd');
  const other = standInAws(join(at, 's3'));
  for (const manifest of [manifestOf('full'), manifestOf('incremental')]) {
    for (const { key } of manifest.chunks) other.put(key.replace('fleet/host-1', odd), 'x'.repeat(2500));
  }
  for (const key of [keyOf.full, keyOf.incremental, `${root}/current.json`]) {
    const inJson = JSON.stringify(odd).slice(1, -1);
    other.put(
      key.replace('fleet/host-1', odd),
      bucket
        .read(key)
        .toString()
        .replaceAll('fleet/host-1', () => inJson),
    );
  }
  const host = await bareHost(
    at,
    recoverScript(template, { ...place, prefix: odd }),
    {},
    join(other.bin, 'aws'),
  );
  const listed = await host.recover('list');
  assert.equal(listed.exitCode, 0, listed.stderr);
  assert.ok(listed.stdout.includes(keyOf.incremental.replace('fleet/host-1', odd)), listed.stdout);
  for (const which of ['data', keyOf.full.replace('fleet/host-1', odd)]) {
    const { exitCode, stderr } = await host.recover('thaw', which);
    assert.equal(exitCode, 0, stderr);
  }
  assert.ok(!existsSync(join(at, 'bare-home/pwned')));
  assert.ok(!existsSync(join(other.bin, '../objects/pwned')));
});

test('the style of addresses is given where the aws command would choose another', () => {
  const styleOf = (isPathStyle: boolean, endpoint: string | undefined) =>
    settingsOf(recoverScript(template, { ...place, endpoint, isPathStyle })).slice(3);
  assert.deepEqual(styleOf(true, place.endpoint), [place.endpoint, '']);
  assert.deepEqual(styleOf(false, place.endpoint), [place.endpoint, 'virtual']);
  assert.deepEqual(styleOf(false, undefined), ['', '']);
  assert.deepEqual(styleOf(true, undefined), ['', 'path']);
});

test('shellcheck finds nothing, with or without values', () => {
  for (const script of [template, recoverScript(template, { ...place, prefix: "it's mine" })]) {
    const { stdout, status } = spawnSync('shellcheck', ['--norc', '-'], { input: script, encoding: 'utf8' });
    assert.equal(stdout, '');
    assert.equal(status, 0);
  }
});

test('a pointer that is missing or names something else is damage, and its backups can be named', async () => {
  const { bucket, host } = await bucketWith(directory);
  const pointer = `${root}/current.json`;
  for (const text of [
    '{}',
    'x',
    '{"manifest_key":7}',
    `{"manifest_key":"${keyOf.full.replace('data', 'home')}"}`,
  ]) {
    bucket.put(pointer, text);
    assert.deepEqual(
      await endOf(host, 'thaw', 'data'),
      [4, `recover.sh: ${pointer} names no backup of data: choose one of recover.sh list by its MANIFEST`],
      text,
    );
  }
  bucket.remove(pointer);
  assert.deepEqual(await endOf(host, 'thaw', 'data'), [
    4,
    `recover.sh: ${pointer} is not in the bucket: choose one of recover.sh list by its MANIFEST`,
  ]);
  assert.deepEqual(await endOf(host, 'thaw', 'dtaa'), [
    2,
    'recover.sh: there is no backup of dtaa under fleet/host-1/: recover.sh list shows what there is',
  ]);
  const { exitCode, stdout } = await host.recover('thaw', keyOf.full);
  assert.deepEqual([exitCode, stdout], [0, 'chunks readable: 2, requested now: 0, thawing already: 0\n']);
});

test('a thaw is requested once, and exit 5 lasts until all is readable', async () => {
  const { bucket, host } = await bucketWith(directory);
  const chunks = [manifestOf('full'), manifestOf('incremental')].flatMap(({ chunks: all }) =>
    all.map(({ key }: Document) => key),
  );
  for (const key of chunks) bucket.classify(key, 'DEEP_ARCHIVE', { StorageClass: 'DEEP_ARCHIVE' });
  const requests = () => bucket.calls().filter((call) => call.startsWith('restore-object'));
  const thaw = async () => {
    const { exitCode, stdout } = await host.recover('thaw', 'data', '--tier', 'Bulk', '--days', '3');
    return [exitCode, stdout.trim()];
  };
  assert.deepEqual(await thaw(), [5, 'chunks readable: 0, requested now: 4, thawing already: 0']);
  assert.equal(requests().length, 4);
  bucket.classify(chunks[0], 'DEEP_ARCHIVE');
  assert.deepEqual(await thaw(), [5, 'chunks readable: 1, requested now: 0, thawing already: 3']);
  bucket.fail(`head-object ${chunks[1].split('/').at(-1)} (AccessDenied) when calling HeadObject`);
  assert.deepEqual(await endOf(host, 'thaw', 'data'), [
    1,
    `recover.sh: ${chunks[1]} cannot be read: An error occurred (AccessDenied) when calling HeadObject`,
  ]);
  bucket.fail();
  bucket.classify(keyOf.full, 'GLACIER', { StorageClass: 'GLACIER' });
  assert.deepEqual(await endOf(host, 'thaw', 'data'), [
    5,
    `recover.sh: manifest ${keyOf.full} is archived itself, and requested: run this again in some hours`,
  ]);
  assert.deepEqual(requests(), [`restore-object ${keyOf.full}`]);
  bucket.classify(keyOf.full, 'STANDARD');
  for (const key of chunks) bucket.classify(key, 'DEEP_ARCHIVE');
  assert.deepEqual(await thaw(), [0, 'chunks readable: 4, requested now: 0, thawing already: 0']);
  assert.deepEqual(requests(), []);
});

test('list shows what is there, also where a backup has lost its chunks', async () => {
  const { bucket, host } = await bucketWith(directory);
  bucket.put(`fleet/host-1/subvol/home/full/manifest-${first}.json`, '{}');
  bucket.put(`fleet/host-1/subvol/a b/full/manifest-${first}.json`, '{}');
  bucket.classify(manifestOf('full').chunks[0].key, 'DEEP_ARCHIVE');
  bucket.classify(manifestOf('full').chunks[1].key, 'DEEP_ARCHIVE');
  // Ceph's classes have free names.
  for (const { key } of manifestOf('incremental').chunks) bucket.classify(key, 'cold');
  const { stdout, exitCode, stderr } = await host.recover('list');
  assert.equal(exitCode, 0, stderr);
  assert.deepEqual(
    stdout.split('\n').map((line) => line.replace(/ +/g, ' ')),
    [
      'data',
      ` ${first} full 4.9KiB DEEP_ARCHIVE ${keyOf.full}`,
      ` ${second} incremental 4.9KiB OTHER ${keyOf.incremental}`,
      'home',
      ` ${first} full 0B missing fleet/host-1/subvol/home/full/manifest-${first}.json`,
      '',
    ],
  );
  assert.deepEqual(await endOf(host, 'list', 'nothing'), [
    1,
    'recover.sh: there are no backups under s3://my-backups/fleet/host-1/subvol/nothing',
  ]);
});

test('wrong usage is exit 2, before anything is asked of the bucket', async () => {
  const { bucket, host } = await bucketWith(directory);
  const cases: readonly (readonly [words: readonly string[], line: string])[] = [
    [['erase'], 'erase is neither list, thaw nor restore'],
    [['restore'], 'say which: a SUBVOLUME or a MANIFEST of recover.sh list'],
    [['restore', 'data'], 'say where to restore to: recover.sh restore SUBVOLUME TARGET'],
    [['restore', 'data', '/nowhere/at/all'], '/nowhere/at is not a directory'],
    [['restore', 'data', '/proc/x'], '/proc is not on a Btrfs filesystem'],
    [['thaw', 'data', 'home'], 'home is one word too many'],
    [['thaw', 'data', '--tier', 'Fast'], '--tier is Standard, Bulk or Expedited'],
    [['thaw', 'data', '--days', '1+1'], '--days is a number of days'],
    [['thaw', 'data', '--days'], '--days wants a value'],
    [['thaw', 'data', '--signers', '/nowhere'], '/nowhere cannot be read'],
    [
      ['thaw', '../data'],
      '../data is not the key of a manifest under fleet/host-1/: recover.sh list shows them',
    ],
    [['thaw', '$(reboot)'], '$(reboot) is neither a subvolume nor the key of a manifest'],
    [['list', '--all'], '--all is no option: recover.sh --help lists them'],
  ];
  for (const [words, line] of cases)
    assert.deepEqual(await endOf(host, ...words), [2, `recover.sh: ${line}`]);
  assert.deepEqual(bucket.calls(), []);
  const { exitCode, stdout } = await host.recover('--help');
  assert.equal(exitCode, 0);
  assert.match(stdout, /^Usage: bash recover\.sh list/);
});

test('a failing network is tried again, a wrong key is not', async () => {
  const { bucket, host } = await bucketWith(directory);
  bucket.fail('get-object current.json (InvalidAccessKeyId) when calling GetObject: no such key');
  assert.deepEqual(await endOf(host, 'thaw', 'data'), [
    1,
    `recover.sh: ${root}/current.json cannot be read: An error occurred (InvalidAccessKeyId) when calling GetObject: no such key`,
  ]);
  assert.equal(bucket.calls().filter((call) => call.startsWith('get-object')).length, 1);
  bucket.fail('list-objects-v2 subvol/ Unable to locate credentials');
  assert.equal((await endOf(host, 'list'))[0], 2);
});
