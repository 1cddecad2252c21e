import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runProcess } from '../end-to-end/world.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const directory = temporaryDirectory('backup-script');
const config = join(directory, 'backup.env');
const settings = {
  SUBVOLUMES: '/data',
  SNAPSHOT_DIR: '/snapshots',
  S3_BUCKET: 'backups',
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: 'account',
  AWS_SECRET_ACCESS_KEY: 'not-a-secret',
  RUN_DIR: join(directory, 'run'),
};
const lines = Object.entries(settings).map(([key, value]) => `${key}=${value}\n`);
writeFileSync(config, lines.join(''), { mode: 0o600 });

for (const [what, args, says] of [
  [
    'a settings file that is not there',
    ['--config', join(directory, 'none.env')],
    /none\.env does not exist/,
  ],
  ['an option without a value', ['--config', config, '--kind'], /--kind/],
  ['a kind that is none', ['--config', config, '--if-due', '--kind', 'weekly'], /KIND=weekly is not a kind/],
  ['a subvolume that is none', ['--config', config, '--subvolume', 'x'], /SUBVOLUME=x selects nothing/],
] as const) {
  test(`a backup ends with one line for ${what}, and nothing is printed`, async () => {
    const { exitCode, stderr, stdout } = await runProcess('scripts/tsx.sh', ['scripts/backup.ts', ...args]);
    assert.equal(exitCode, 2, stderr);
    assert.match(stderr, says);
    assert.equal(stderr.split('\n').filter((line) => line.startsWith('{')).length, 1, stderr);
    assert.equal(stdout, '');
  });
}
