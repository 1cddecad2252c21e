/** METRICS_FILE, NOTIFY_URL, NOTIFY_COMMAND and the JSON log, as the scripts of a real host use them. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { shell } from '../../testing/harness/processes/shell.ts';
import { startPingServer } from '../support/ping-server.ts';
import { unmount } from '../support/unmount-everywhere.ts';
import { createWorld, damageStoredBytes, readBytes, type ScriptResult } from './world.ts';

const secret = '0f4b-nobody-may-see-this';

const metric = (text: string, name: string, label: string) =>
  new RegExp(`^btrfs_to_s3_${name}\\{[^}]*${label}[^}]*\\} (\\S+)$`, 'm').exec(text)?.[1];

const eventsOf = ({ stderr }: ScriptResult) =>
  stderr
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
    .filter(({ event }) => event === 'backup-finished');

test('successes and failures are reported, and what was known of the rest is kept', async (t) => {
  const world = await createWorld(t, {}, 512 * 2 ** 20);
  const server = await startPingServer();
  world.cleanUp(() => server.stop());
  const home = join(world.mount, 'home');
  await shell`btrfs subvolume create ${home}`;
  await writeFile(join(world.data, 'a'), 'a'.repeat(100_000));
  await writeFile(join(home, 'b'), 'b');
  const metrics = join(world.directory, 'backup.prom');
  const notices = join(world.directory, 'notices');
  const settings = {
    SUBVOLUMES: `data=${world.data},home=${home}`,
    METRICS_FILE: metrics,
    NOTIFY_URL: `${server.url}/${secret}`,
    NOTIFY_COMMAND: `{ echo "$COMMAND $RESULT $EXIT_CODE"; cat; } >> ${notices}`,
  };
  const config = await world.settingsFile(settings);
  const paths = () => server.pings.splice(0).map(({ path }) => path.replace(secret, '…'));

  await t.test('a backup', async () => {
    const done = await world.run('backup.ts', '--config', config);
    assert.equal(done.exitCode, 0, done.stderr);
    assert.doesNotMatch(done.stderr, new RegExp(secret));
    assert.deepEqual(paths(), ['/…/start', '/…']);
    assert.match(readFileSync(notices, 'utf8'), /^backup success 0\n/);
    assert.equal(statSync(metrics).mode & 0o777, 0o644, 'node_exporter can read it');
    const text = readFileSync(metrics, 'utf8');
    for (const name of ['data', 'home']) {
      const label = `subvolume="${name}"`;
      assert.equal(metric(text, 'chain_restorable', label), '1');
      assert.equal(metric(text, 'chain_length', label), '1');
      assert.ok(Number(metric(text, 'stored_bytes', label)) > 100);
      const newest = Number(metric(text, 'newest_backup_timestamp_seconds', label));
      assert.equal(Number(metric(text, 'backup_due_timestamp_seconds', label)) - newest, 7 * 86_400);
    }
    assert.equal(metric(text, 'last_run_exit_code', 'command="backup"'), '0');
    const [event] = eventsOf(done);
    const { subvolume, outcome, kind, bytes, chunks, chain_length, manifest_key, seconds, bytes_per_second } =
      event;
    assert.deepEqual([subvolume, outcome, kind, chunks, chain_length], ['data', 'published', 'full', 1, 1]);
    assert.match(manifest_key, /^fleet\/host-1\/subvol\/data\/full\/manifest-/);
    assert.ok(bytes > 100_000 && seconds >= 0 && bytes_per_second > 0);
  });

  await t.test('make status, which is no run', async () => {
    const shown = await world.run('status.ts', '--config', config);
    assert.equal(shown.exitCode, 0, shown.stderr + shown.stdout);
    assert.match(shown.stdout, /^data\n {2}newest backup {2}full of .* UTC, \d+s ago, [\d.]+ KiB$/m);
    assert.match(shown.stdout, /^ {2}chain {10}1 backup since .* UTC, [\d.]+ KiB$/m);
    assert.match(shown.stdout, /price not known \(set PRICES\)$/m);
    assert.match(shown.stdout, /^prune {12}nothing prunes, as PRUNE_EVERY=never/m);
    const missing = await world.settingsFile({ ...settings, SUBVOLUMES: `data=${world.data},new=${home}` });
    const other = await world.run('status.ts', '--config', missing, '--json');
    assert.equal(other.exitCode, 1);
    const [, fresh] = JSON.parse(other.stdout).subvolumes;
    assert.deepEqual([fresh.name, fresh.wrong], ['new', ['there is no backup yet: make backup']]);
    assert.deepEqual(paths(), []);
  });

  await t.test('nothing is due, which is a success', async () => {
    const done = await world.run('backup.ts', '--config', config, '--if-due');
    assert.deepEqual(paths(), ['/…/start', '/…']);
    assert.deepEqual(
      eventsOf(done).map(({ subvolume, outcome }) => `${subvolume} ${outcome}`),
      ['data nothing due', 'home nothing due'],
    );
  });

  await t.test('a dry run is no run', async () => {
    const before = readFileSync(metrics, 'utf8');
    const done = await world.run('backup.ts', '--config', config, '--dry-run');
    assert.equal(done.exitCode, 0, done.stderr);
    assert.deepEqual(paths(), []);
    assert.equal(readFileSync(metrics, 'utf8'), before);
  });

  await t.test('damage, of which verify tells; a success of verify would not be pinged', async () => {
    assert.equal((await world.run('verify.ts', '--config', config)).exitCode, 0);
    assert.deepEqual(paths(), []);
    assert.equal(metric(readFileSync(metrics, 'utf8'), 'verify_sound', 'subvolume="data"'), '1');
    const list = await world.run('list.ts', '--config', config, '--json');
    const chunkOf = JSON.parse(list.stdout).backups.find(
      ({ subvolume }: { subvolume: string }) => subvolume === 'data',
    ).manifest_key;
    const key = JSON.parse((await readBytes(world, chunkOf)).toString('utf8')).chunks[0].key;
    await damageStoredBytes(world, await readBytes(world, key), 5000);
    const found = await world.run('verify.ts', '--config', config, '--deep');
    assert.equal(found.exitCode, 4, found.stderr);
    assert.match(server.pings.at(-1)?.body ?? '', /^1 finding of damage, the first: \S+-00000\.bin: .*/);
    assert.deepEqual(paths(), ['/…/fail']);
    const text = readFileSync(metrics, 'utf8');
    assert.equal(metric(text, 'verify_sound', 'subvolume="data"'), '0');
    assert.equal(metric(text, 'verify_sound', 'subvolume="home"'), '1');
    assert.equal(metric(text, 'last_run_exit_code', 'command="verify"'), '4');
    const shown = await world.run('status.ts', '--config', config);
    assert.equal(shown.exitCode, 4);
    assert.match(shown.stdout, /^ {2}last verify {4}DAMAGED 20.* UTC, \d+s ago$/m);
    assert.match(
      shown.stdout,
      /WRONG {10}the last make verify \(.* UTC\) found damage: 1\n {17}finding; make verify says which/,
    );
  });

  await t.test('a timer of verify: it is not due again, which is no run', async () => {
    const before = readFileSync(metrics, 'utf8');
    const done = await world.run('verify.ts', '--config', config, '--if-due');
    assert.equal(done.exitCode, 0, done.stderr);
    assert.match(done.stdout, /^next verify due 20\d\d-/);
    assert.equal(readFileSync(metrics, 'utf8'), before);
    const every = await world.settingsFile({ ...settings, VERIFY_EVERY: 'never' });
    const never = await world.run('verify.ts', '--config', every, '--if-due');
    assert.deepEqual([never.exitCode, never.stdout], [0, 'nothing is due: VERIFY_EVERY=never\n']);
    const prune = await world.run('prune.ts', '--config', config, '--if-due', '--apply');
    assert.deepEqual([prune.exitCode, prune.stdout], [0, 'nothing is due: PRUNE_EVERY=never\n']);
    assert.deepEqual(paths(), []);
  });

  await t.test('drills of several subvolumes that fail: the body has the error of each', async () => {
    const key = join(world.directory, 'signer');
    await shell`ssh-keygen -q -t ed25519 -N ${''} -f ${key}`;
    await writeFile(`${key}s`, `nas ${readFileSync(`${key}.pub`, 'utf8')}`);
    const signed = await world.settingsFile({ ...settings, VERIFY_SIGNERS: `${key}s` });
    const done = await world.run('drill.ts', '--config', signed);
    assert.equal(done.exitCode, 4, done.stderr);
    const lines = (server.pings.at(-1)?.body ?? '').split('\n');
    assert.equal(lines.length, 2);
    for (const [index, name] of ['data', 'home'].entries()) {
      assert.match(
        lines[index] ?? '',
        new RegExp(`${name}/full/manifest-\\S+ cannot be trusted: it is not signed`),
      );
    }
    assert.deepEqual(paths(), ['/…/fail']);
  });

  await t.test('drills that fail: a night on which the next one waits is no success', async () => {
    const small = join(world.directory, 'small');
    await mkdir(small);
    await shell`mount -t tmpfs -o size=16K small ${small}`;
    world.cleanUp(() => unmount(small));
    const weekly = await world.settingsFile({ ...settings, DRILL: 'weekly', SPOOL_DIR: small });
    for (let round = 0; round < 2; round++) {
      const failed = await world.run('drill.ts', '--config', weekly);
      assert.equal(failed.exitCode, 1, failed.stderr);
      // Records are named by the second.
      await sleep(1000);
    }
    await rm(notices);
    paths();
    const waits = await world.run('drill.ts', '--config', weekly, '--if-due');
    assert.equal(waits.exitCode, 0, waits.stderr);
    assert.match(
      waits.stdout,
      /^data: the last 2 drills failed; next drill due .*\nhome: the last 2 drills failed;/,
    );
    assert.deepEqual([paths(), existsSync(notices)], [[], false]);
    assert.equal(metric(readFileSync(metrics, 'utf8'), 'last_run_exit_code', 'command="drill"'), '1');
    const shown = await world.run('status.ts', '--config', weekly, '--json');
    const { subvolumes, wrong } = JSON.parse(shown.stdout);
    assert.deepEqual(wrong, []);
    for (const { name, drills_failed, wrong: wrongs } of subvolumes) {
      assert.equal(drills_failed.count, 2, name);
      const said = wrongs.filter((text: string) => /drill/.test(text));
      assert.equal(said.length, 1, said.join('\n'));
      assert.match(said[0], /^the last 2 drills failed \(20.* UTC\): (the scratch image|cannot make)/);
    }
  });

  await t.test('a subvolume that fails: the body has its error, the others keep their values', async () => {
    const before = readFileSync(metrics, 'utf8');
    await shell`btrfs subvolume delete ${home}`;
    await rm(notices, { force: true });
    const done = await world.run('backup.ts', '--config', config, '--subvolume', 'home');
    assert.equal(done.exitCode, 1, done.stderr);
    const [, failed] = server.pings;
    assert.match(failed?.body ?? '', /cannot use .*\/home: it does not exist/);
    assert.deepEqual(paths(), ['/…/start', '/…/fail']);
    assert.match(readFileSync(notices, 'utf8'), /^backup failure 1\n.*cannot use .*\/home/);
    const text = readFileSync(metrics, 'utf8');
    assert.equal(metric(text, 'last_run_exit_code', 'command="backup"'), '1');
    for (const name of ['chain_length', 'newest_backup_timestamp_seconds', 'backup_duration_seconds']) {
      assert.equal(metric(text, name, 'subvolume="data"'), metric(before, name, 'subvolume="data"'), name);
    }
    assert.deepEqual(
      eventsOf(done).map(({ outcome }) => outcome),
      ['failed'],
    );
  });

  await t.test('a bucket that cannot be reached: what was known of it stays', async () => {
    const before = readFileSync(metrics, 'utf8');
    const down = await world.settingsFile({
      ...settings,
      SUBVOLUMES: `data=${world.data}`,
      AWS_SECRET_ACCESS_KEY: 'wrong',
    });
    const done = await world.run('backup.ts', '--config', down);
    assert.equal(done.exitCode, 1, done.stderr);
    assert.match(server.pings.at(-1)?.body ?? '', /the signature was refused/);
    assert.deepEqual(paths(), ['/…/start', '/…/fail']);
    const text = readFileSync(metrics, 'utf8');
    assert.equal(
      metric(text, 'stored_bytes', 'subvolume="data"'),
      metric(before, 'stored_bytes', 'subvolume="data"'),
    );
    const shown = await world.run('status.ts', '--config', config);
    assert.notEqual(shown.exitCode, 0, shown.stdout);
    assert.match(shown.stdout, /^WRONG {12}the last make backup \(.* UTC\) ended with exit\n +code 1:/m);
  });

  await t.test('nothing can be reported, and the backup is made all the same', async () => {
    const deaf = await world.settingsFile({
      SUBVOLUMES: `data=${world.data}`,
      METRICS_FILE: join(world.directory, 'missing/backup.prom'),
      NOTIFY_URL: `http://127.0.0.1:1/${secret}`,
      NOTIFY_COMMAND: 'exit 7',
    });
    const done = await world.run('backup.ts', '--config', deaf, '--kind', 'full');
    assert.equal(done.exitCode, 0, done.stderr);
    assert.doesNotMatch(done.stderr, new RegExp(secret));
    for (const warning of [
      /cannot record this run: cannot write METRICS_FILE .*it does not exist; make its directory/,
      /cannot ping NOTIFY_URL at 127\.0\.0\.1:1: .*ECONNREFUSED.*; the run itself is not affected/,
      /NOTIFY_COMMAND failed with exit code 7; the run itself is not affected/,
    ]) {
      assert.match(done.stderr, warning);
    }
  });

  await t.test('wrong settings are a failure that is reported as well', async () => {
    const wrong = await world.settingsFile({ ...settings, CONCURRENCY: '0' });
    assert.equal((await world.run('backup.ts', '--config', wrong)).exitCode, 2);
    assert.match(server.pings.at(-1)?.body ?? '', /CONCURRENCY must be a whole number/);
    assert.deepEqual(paths(), ['/…/start', '/…/fail']);
  });
});
