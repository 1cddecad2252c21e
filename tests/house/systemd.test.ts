/** The systemd units as they are installed: into DESTDIR, so that this host's own systemd hears nothing of it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { runProcess } from '../end-to-end/world.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const units = [
  'btrfs-to-s3.service',
  'btrfs-to-s3.timer',
  'btrfs-to-s3-verify.service',
  'btrfs-to-s3-verify.timer',
  'btrfs-to-s3@.service',
  'btrfs-to-s3@.timer',
] as const;
const pruneUnits = ['btrfs-to-s3-prune.service', 'btrfs-to-s3-prune.timer'] as const;
const folder = 'usr/local/lib/systemd/system';
const manual = 'usr/local/share/man/man1/btrfs-to-s3.1';
const config = join(repositoryRoot, 'config/backup.env');
const nowhere = join(temporaryDirectory('systemd'), 'nowhere');

const make = (target: string, ...variables: readonly string[]) => runProcess('make', [target, ...variables]);

const below = (directory: string) => readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort();

const filesBelow = (directory: string) =>
  below(directory).filter((path) => statSync(join(directory, path)).isFile());

async function installed(t: TestContext, ...variables: readonly string[]): Promise<string> {
  const destination = temporaryDirectory(`systemd-${t.name.replace(/\W+/g, '-').slice(0, 20)}`);
  const result = await make('install-systemd', `DESTDIR=${destination}`, ...variables);
  assert.equal(result.exitCode, 0, result.stderr);
  return destination;
}

test('units and a manual page are installed, readable by all, and nothing is left when they are removed', async (t) => {
  const destination = await installed(t);
  const paths = [...units.map((unit) => join(folder, unit)), manual].sort();
  assert.deepEqual(filesBelow(destination), paths);
  for (const path of paths) assert.equal(statSync(join(destination, path)).mode & 0o7777, 0o644);
  const removed = await make('uninstall-systemd', `DESTDIR=${destination}`);
  assert.equal(removed.exitCode, 0, removed.stderr);
  assert.deepEqual(below(destination), []);
  assert.equal((await make('uninstall-systemd', `DESTDIR=${destination}`)).exitCode, 0, 'nothing to remove');
});

test('what others have put beside them stays', async (t) => {
  const destination = await installed(t, 'PREFIX=/usr');
  const paths = units.map((unit) => join('usr/lib/systemd/system', unit));
  assert.deepEqual(filesBelow(destination), [...paths, 'usr/share/man/man1/btrfs-to-s3.1'].sort());
  writeFileSync(join(destination, 'usr/lib/systemd/system/other.service'), '');
  await make('uninstall-systemd', `DESTDIR=${destination}`, 'PREFIX=/usr');
  assert.deepEqual(filesBelow(destination), ['usr/lib/systemd/system/other.service']);
});

test('systemd finds no fault with them, and would run this checkout with CONFIG', async (t) => {
  const destination = await installed(t, 'CONFIG=config/other.env');
  const paths = units.map((unit) => join(destination, folder, unit));
  const verified = await runProcess('systemd-analyze', [
    'verify',
    '--man=no',
    '--recursive-errors=no',
    ...paths,
  ]);
  assert.deepEqual([verified.exitCode, verified.stdout, verified.stderr], [0, '', '']);
  const service = readFileSync(paths[0] ?? '', 'utf8');
  const other = join(repositoryRoot, 'config/other.env');
  assert.match(
    service,
    new RegExp(
      `^ExecStart=${repositoryRoot}/scripts/tsx\\.sh scripts/backup\\.ts --config ${other} --if-due$`,
      'm',
    ),
  );
  assert.match(service, new RegExp(`^WorkingDirectory=${repositoryRoot}$`, 'm'));
  assert.match(service, new RegExp(`^Environment=PATH=${dirname(process.execPath)}:`, 'm'));
  assert.doesNotMatch(service, /@[A-Z_]+@/);
  assert.match(service, /^CapabilityBoundingSet=.* CAP_LINUX_IMMUTABLE$/m);
  for (const line of [
    'Restart=on-failure',
    'RestartPreventExitStatus=2 3 4 5 SIGKILL',
    'StartLimitBurst=5',
  ]) {
    assert.ok(
      service.split('\n').includes(line),
      `${line}: exit 1 alone is tried again, and not for ever at once`,
    );
  }
});

test('the mounts of all paths in the settings are waited for, whatever is in their names', async (t) => {
  const directory = temporaryDirectory('systemd-settings');
  const file = join(directory, 'backup.env');
  const subvolumes = 'data=/pool/my data,half=/pool/50%,home=snapshots:/home/.snap s/*/snapshot';
  writeFileSync(file, `SUBVOLUMES=${subvolumes}\nSNAPSHOT_DIR=/pool/.snapshots\nRUN_DIR=/srv/run\n`);
  const destination = await installed(t, `CONFIG=${file}`);
  const service = join(destination, folder, units[0]);
  assert.match(
    readFileSync(service, 'utf8'),
    /^RequiresMountsFor="\/pool\/my data" "\/pool\/50%%" "\/home\/\.snap s" "\/pool\/\.snapshots" "\/srv\/run"$/m,
  );
  const verified = await runProcess('systemd-analyze', [
    'verify',
    '--man=no',
    '--recursive-errors=no',
    service,
  ]);
  assert.deepEqual([verified.exitCode, verified.stderr], [0, '']);
});

test('another settings file needs no copies: an instance of the template reads its own', async (t) => {
  const destination = await installed(t);
  const service = readFileSync(join(destination, folder, 'btrfs-to-s3@.service'), 'utf8');
  assert.match(service, / --config \/etc\/btrfs-to-s3\/%i\.env --if-due$/m);
  assert.match(service, /^RequiresMountsFor=\S+ \/etc\/btrfs-to-s3\/%i\.env$/m);
  assert.doesNotMatch(service, /^RequiresMountsFor=$/m);
});

test('units of one settings file are not turned over to another by installing them again', async (t) => {
  const [used, stale] = ['used', 'stale'].map((name) =>
    join(temporaryDirectory('systemd-other'), `${name}.env`),
  );
  writeFileSync(used ?? '', 'PRUNE_EVERY=30d\n');
  writeFileSync(stale ?? '', '');
  const destination = await installed(t, `CONFIG=${used}`);
  const contents = () =>
    [...units, ...pruneUnits].map((unit) => readFileSync(join(destination, folder, unit), 'utf8'));
  const before = contents();
  const refused = await make('install-systemd', `DESTDIR=${destination}`, `CONFIG=${stale}`);
  assert.match(refused.stderr, /Error 2\b/);
  const again = `make install-systemd DESTDIR=${destination} CONFIG=`;
  assert.equal(
    refused.stderr.split('\n')[0],
    `systemd.ts: the units that are installed use ${used}, not ${stale}; ${again}${used} installs them again; to change the file: make uninstall-systemd DESTDIR=${destination}, then ${again}${stale}`,
  );
  assert.deepEqual(contents(), before);
  assert.equal(
    (await make('install-systemd', `DESTDIR=${destination}`, `CONFIG=${used}`)).exitCode,
    0,
    'the same',
  );
  assert.equal((await make('uninstall-systemd', `DESTDIR=${destination}`)).exitCode, 0);
  assert.equal((await make('install-systemd', `DESTDIR=${destination}`, `CONFIG=${stale}`)).exitCode, 0);
});

test('what prunes is installed only where PRUNE_EVERY is set, and goes when that is taken back', async (t) => {
  const file = join(temporaryDirectory('systemd-prune'), 'backup.env');
  writeFileSync(file, 'PRUNE_EVERY=30d\n');
  const destination = await installed(t, `CONFIG=${file}`);
  const there = () => filesBelow(destination).filter((path) => path.includes('-prune.'));
  assert.deepEqual(
    there(),
    pruneUnits.map((unit) => join(folder, unit)),
  );
  const service = join(destination, folder, pruneUnits[0]);
  assert.match(readFileSync(service, 'utf8'), / scripts\/prune\.ts --config \S+ --if-due --apply$/m);
  const verified = await runProcess('systemd-analyze', [
    'verify',
    '--man=no',
    '--recursive-errors=no',
    ...pruneUnits.map((unit) => join(destination, folder, unit)),
  ]);
  assert.deepEqual([verified.exitCode, verified.stderr], [0, '']);
  writeFileSync(file, 'PRUNE_EVERY=never\n');
  const again = await make('install-systemd', `DESTDIR=${destination}`, `CONFIG=${file}`);
  assert.equal(again.exitCode, 0, again.stderr);
  assert.deepEqual(there(), []);
  assert.match(again.stdout, /systemctl enable --now btrfs-to-s3\.timer btrfs-to-s3-verify\.timer$/m);
});

const noMan = spawnSync('man', ['--version']).status !== 0 && 'man is not installed';

test('man has every target of the daily work and every setting, and no complaint about the page', {
  skip: noMan,
}, async (t) => {
  const destination = await installed(t);
  const page = join(destination, manual);
  const { exitCode, stdout, stderr } = await runProcess('man', ['--warnings', '-E', 'UTF-8', '-l', page], {
    MANWIDTH: '100',
    MAN_KEEP_FORMATTING: '',
  });
  assert.deepEqual([exitCode, stderr], [0, '']);
  for (const word of ['make backup', 'make restore', 'make status', 'METRICS_FILE', 'KEEP_SNAPSHOTS=2']) {
    assert.ok(stdout.includes(word), word);
  }
  assert.match(stdout, /EXIT STATUS[\s\S]* 4 +damage was found in the bucket/);
  assert.doesNotMatch(stdout, /make bench/);
});

test('a fault in them would be found', async (t) => {
  const destination = await installed(t);
  const path = join(destination, folder, units[0]);
  writeFileSync(path, readFileSync(path, 'utf8').replace(/^ExecStart=.*/m, 'ExecStart=/nonexistent/program'));
  const verified = await runProcess('systemd-analyze', ['verify', '--man=no', '--recursive-errors=no', path]);
  assert.notEqual(verified.exitCode, 0);
});

for (const [what, args, says] of [
  [
    'a relative DESTDIR',
    ['install', '--config', config, '--destdir', 'here'],
    /DESTDIR=here is not an absolute path/,
  ],
  [
    'a relative PREFIX',
    ['install', '--config', config, '--prefix', 'usr'],
    /PREFIX=usr is not an absolute path/,
  ],
  [
    'a path that a unit would take apart',
    ['install', '--config', '/etc/my file', '--destdir', nowhere],
    /\/etc\/my file cannot be used in a systemd unit/,
  ],
  [
    'a path with a specifier',
    ['install', '--config', '/etc/%h', '--destdir', nowhere],
    /\/etc\/%h cannot be used in a systemd unit/,
  ],
  ['no verb', [], /say install or uninstall/],
  ['a flag that there is not', ['install', '--user', 'x'], /--user is no option/],
  ['a flag without its value', ['install', '--config'], /--config has no value/],
] as const) {
  test(`${what} is refused before anything is written`, async () => {
    const { exitCode, stderr } = await runProcess('scripts/tsx.sh', ['scripts/systemd.ts', ...args]);
    assert.equal(exitCode, 2);
    assert.match(stderr, says);
    assert.equal(stderr.trimEnd().split('\n').length, 1);
    assert.throws(() => statSync(nowhere), /ENOENT/);
  });
}

test('what cannot be written is named, and why', async () => {
  const file = join(temporaryDirectory('systemd-file'), 'file');
  writeFileSync(file, '');
  const args = ['scripts/systemd.ts', 'install', '--destdir', file];
  const { exitCode, stderr } = await runProcess('scripts/tsx.sh', args);
  assert.equal(exitCode, 1);
  assert.equal(
    stderr,
    `systemd.ts: cannot write ${file}/${folder}/${units[0]}: a part of the path is not a directory\n`,
  );
});
