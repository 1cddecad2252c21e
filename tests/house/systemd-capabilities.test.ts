/**
 * What the services may do: each is run with the capabilities of its unit, as root, from a checkout, with a Node.js and with settings below a
 * directory that is closed to all but its owner. The mounts are of a namespace of their own, and end with it.
 */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { startS3Server } from '../../testing/s3-server/server.ts';
import { runProcess } from '../end-to-end/world.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const directory = temporaryDirectory('systemd-capabilities');
const [home, units, metrics] = ['home', 'units', 'metrics'].map((name) => join(directory, name));
assert.ok(home && units && metrics);
const [owner, exporter] = [12_345, 12_346];
const config = join(home, 'backup.env');

const server = await startS3Server({
  directory: join(directory, 's3'),
  accessKeyId: 'someone',
  secretAccessKey: 'a-secret',
  buckets: ['backups'],
});
after(() => server.stop());

mkdirSync(metrics);
chownSync(metrics, exporter, exporter);
for (const each of ['', 'checkout', 'node', 'run']) {
  mkdirSync(join(home, each), { mode: 0o700 });
  chownSync(join(home, each), owner, owner);
}
const settings = [
  `SUBVOLUMES=${home}/nothing`,
  `SNAPSHOT_DIR=${home}/snapshots`,
  `RUN_DIR=${home}/run`,
  `METRICS_FILE=${metrics}/btrfs-to-s3.prom`,
  'PRUNE_EVERY=30d',
  'S3_BUCKET=backups',
  'S3_PREFIX=host-1',
  'AWS_REGION=us-east-1',
  `AWS_ENDPOINT_URL_S3=${server.endpoint}`,
  'AWS_ACCESS_KEY_ID=someone',
  'AWS_SECRET_ACCESS_KEY=a-secret',
];
writeFileSync(config, `${settings.join('\n')}\n`);
chmodSync(config, 0o600);
chownSync(config, owner, owner);
writeFileSync(join(home, 'node/node'), '');

/** Runs a command where the checkout and Node.js are also below the closed directory. */
function within(script: string, ...values: readonly string[]) {
  const mounts = `mount --bind '${repositoryRoot}' '${home}/checkout'
    mount --bind '${process.execPath}' '${home}/node/node'`;
  const bash = ['bash', '-euc', `${mounts}\n${script}`, 'bash', ...values];
  return runProcess('unshare', ['--mount', '--propagation', 'private', '--', ...bash]);
}

const installed = await within(`export PATH='${home}/node':$PATH
  cd '${home}/checkout' && scripts/tsx.sh scripts/systemd.ts install --config '${config}' --destdir '${units}'`);
assert.equal(installed.exitCode, 0, installed.stderr);

/** Starts a service as systemd does: no ambient or inheritable capability, and no more than the bounding set of its unit. */
function start(name: string) {
  const unit = readFileSync(join(units ?? '', 'usr/local/lib/systemd/system', `${name}.service`), 'utf8');
  const read = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(unit)?.[1] ?? assert.fail(key);
  const capabilities = read('CapabilityBoundingSet').split(' ').filter(Boolean);
  const bounds = ['-all', ...capabilities.map((each) => `+${each.replace('CAP_', '').toLowerCase()}`)];
  const limits = `--no-new-privs --inh-caps=-all --ambient-caps=-all --bounding-set=${bounds.join(',')}`;
  const environment = `${read('Environment')} HOME=/root AWS_EC2_METADATA_DISABLED=true`;
  assert.match(environment, new RegExp(`^PATH=${home}/node:`));
  return within(
    `exec setpriv ${limits} env -i ${environment} bash -euc 'cd "$1"; exec $2' bash "$@"`,
    read('WorkingDirectory'),
    read('ExecStart'),
  );
}

for (const [command, exitCode, says] of [
  ['verify', 2, /^\{[^\n]*there are no backups at all[^\n]*\}\n$/],
  ['prune', 0, /^$/],
] as const) {
  test(`btrfs-to-s3-${command}.service reads and writes what belongs to another user`, async () => {
    const result = await start(`btrfs-to-s3-${command}`);
    assert.equal(result.exitCode, exitCode, result.stderr);
    assert.match(result.stderr, says);
    // Without its record it would be due every day.
    assert.ok(existsSync(join(home, `run/@watch/run-${command}.json`)));
    assert.match(readFileSync(join(metrics, 'btrfs-to-s3.prom'), 'utf8'), new RegExp(`command="${command}"`));
  });
}

test('btrfs-to-s3.service as well, as far as it goes without a subvolume', async () => {
  const { stderr } = await start('btrfs-to-s3');
  assert.match(stderr, new RegExp(`${home}/nothing`));
});
