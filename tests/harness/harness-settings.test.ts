import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { awsVariables } from '../../lib/core/settings/keys.ts';
import { readSettingLines } from '../../lib/core/settings/lines.ts';
import { MIB } from '../../lib/core/units.ts';
import { readHarnessSettings } from '../../testing/harness/runner/harness-settings.ts';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { repositoryFiles } from '../support/repository-files.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const directory = temporaryDirectory('harness-settings');
const templates = repositoryFiles().filter((path) => /^testing\/config\/.*\.env$/.test(path));
const none = {};

async function fileWith(...lines: readonly string[]): Promise<string> {
  const path = join(directory, 'some.env');
  await writeFile(path, lines.map((line) => `${line}\n`).join(''));
  return path;
}

test('the templates are in the repository, although git ignores settings beside them', () => {
  assert.deepEqual([...templates].sort(), [
    'testing/config/test-archive.env',
    'testing/config/test-large.env',
    'testing/config/test.env',
  ]);
  const check = (path: string) =>
    spawnSync('git', ['check-ignore', '--no-index', '-q', path], { cwd: repositoryRoot });
  for (const path of [...templates, 'testing/config/mine.env', 'testing/mine.env']) {
    assert.equal(check(path).status, 0, `${path} is ignored`);
  }
  const tracked = execFileSync('git', ['ls-files', 'testing/config'], {
    cwd: repositoryRoot,
    encoding: 'utf8',
  });
  assert.deepEqual(tracked.trim().split('\n'), [...templates].sort());
});

for (const path of templates) {
  test(`${path} is understood, and holds no credential`, async () => {
    const settings = await readHarnessSettings(join(repositoryRoot, path), none);
    assert.equal(settings.server, 'local');
    const { lines } = readSettingLines(readFileSync(join(repositoryRoot, path), 'utf8'));
    assert.ok(lines.length > 8);
    for (const { key, value } of lines) {
      assert.ok(!(awsVariables as readonly string[]).includes(key), `${key} is for the environment`);
      assert.doesNotMatch(key, /SECRET|TOKEN|PASSWORD|ACCESS_KEY/i);
      // Nothing that stands there is longer than a size, a class or a path; every credential is.
      assert.doesNotMatch(value, /[A-Za-z0-9+/=_-]{16,}/, key);
    }
  });
}

test('keys of the harness are taken, settings of the tool passed on', async () => {
  const path = await fileWith(
    'SEED=7',
    'SEED_SIZE=3MiB',
    'THAW_DELAY_MS=5',
    'CHUNK_SIZE=8MiB',
    'S3_LACKS=archive,checksums',
  );
  const settings = await readHarnessSettings(path, none);
  assert.deepEqual(
    [settings.seed, settings.seedBytes, settings.thawDelayMs, [...settings.lacks], settings.tool],
    [7, 3 * MIB, 5, ['archive', 'checksums'], { CHUNK_SIZE: '8MiB' }],
  );
  assert.equal(settings.runDirectory, join(repositoryRoot, 'testing/run'));
});

test('the environment chooses the server, and names it only then', async () => {
  const path = await fileWith('SEED=7');
  const server = { S3_BUCKET: 'mine', AWS_REGION: 'eu-central-1', AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:9' };
  const theirs = await readHarnessSettings(path, { S3_SERVER: 'env', ...server, AWS_SECRET_ACCESS_KEY: 'x' });
  assert.deepEqual([theirs.server, theirs.tool], ['env', server]);
  const local = await readHarnessSettings(path, server);
  assert.deepEqual([local.server, local.tool], ['local', {}]);
});

for (const [what, lines, expected] of [
  [
    'a credential',
    ['AWS_SECRET_ACCESS_KEY=x'],
    /some\.env:1: AWS_SECRET_ACCESS_KEY does not belong into a file of the repo/,
  ],
  ['what the harness decides', ['', 'RUN_DIR=/var'], /some\.env:2: RUN_DIR is set by the harness/],
  ['a server that is not asked for', ['S3_BUCKET=mine'], /S3_BUCKET is for S3_SERVER=env only/],
  ['an unknown key', ['SEEDS=1'], /SEEDS is neither a key of the harness nor a setting of the tool/],
  ['a number that is none', ['SEED=x'], /SEED must be a whole number/],
  ['a size that is too small', ['IMAGE_SIZE=1MiB'], /IMAGE_SIZE must be between/],
  ['a server that is not known', ['S3_SERVER=minio'], /S3_SERVER must be one of: local, ceph, env/],
  [
    'a lack that has no name',
    ['S3_LACKS=archives'],
    /S3_LACKS names what is no feature: archives; known are /,
  ],
  ['a line that is none', ['SEED'], /some\.env:1: the line is not KEY=VALUE/],
  ['a bucket that is missing', ['S3_SERVER=env'], /S3_SERVER=env needs S3_BUCKET/],
] as const) {
  test(`${what} is refused`, async () => {
    await assert.rejects(readHarnessSettings(await fileWith(...lines), none), expected);
  });
}

test('all that is wrong with a file is said at once', async () => {
  const path = await fileWith('SEED=x', 'SEEDS=1', 'RUN_DIR=/x');
  await assert.rejects(
    readHarnessSettings(path, none),
    ({ message }: Error) => message.split('\n').length === 3,
  );
});

test('a file that is not there is named', async () => {
  await assert.rejects(
    readHarnessSettings(join(directory, 'no.env'), none),
    /cannot read the harness settings .*no\.env/,
  );
});
