import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { runProcess } from '../end-to-end/world.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const script = join(repositoryRoot, 'scripts/backup.sh');
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
  test(`scripts/backup.sh exits with the code of its stage, which is the only one: ${what}`, async () => {
    const { exitCode, stderr, stdout } = await runProcess(script, args);
    assert.equal(exitCode, 2, stderr);
    assert.match(stderr, says);
    assert.equal(stderr.split('\n').filter((line) => line.startsWith('{')).length, 1, stderr);
    assert.equal(stdout, '');
  });
}

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  test(`scripts/backup.sh ends its stage and exits ${code} on ${signal}, and begins no other stage`, async () => {
    const place = join(directory, signal, 'scripts');
    mkdirSync(place, { recursive: true });
    copyFileSync(script, join(place, 'backup.sh'));
    // A stage that goes on until it is told to end.
    const stage =
      '#!/usr/bin/env bash\ntrap "echo ended; exit 143" TERM\necho began\nwhile :; do sleep 0.05; done\n';
    writeFileSync(join(place, 'tsx.sh'), stage, { mode: 0o755 });
    const run = spawn(join(place, 'backup.sh'), { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(run, 'close');
    let output = '';
    run.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    await once(run.stdout, 'data');
    run.kill(signal);
    assert.deepEqual(await ended, [code, null]);
    assert.equal(output, 'began\nended\n');
  });
}
