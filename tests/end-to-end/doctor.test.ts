/** The doctor on a real filesystem: what is wrong with it is named, with what mends it, and mended it passes. */
import assert from 'node:assert/strict';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { showSubvolume } from '../../lib/edge/btrfs/btrfs.ts';
import { RunDirectory } from '../../lib/edge/files/run-directory.ts';
import type { Role } from '../../lib/stage/watch/doctor/patient.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { makeIdentity } from '../support/age-keys.ts';
import { openTestBucket } from '../support/bucket.ts';
import { examineWith, linesOf } from '../support/doctor.ts';
import { runScript } from '../support/script-within.ts';
import { markReceived, smallWorld, write } from './small-world.ts';
import { hostIn } from './within-process.ts';
import { namesIn, runProcess, secret, type World } from './world.ts';

/** The world's bucket, as another run opens it. */
function openHere(world: World, settings: Readonly<Record<string, string>>) {
  const credentials = { AWS_ACCESS_KEY_ID: 'end-to-end', AWS_SECRET_ACCESS_KEY: secret };
  return openTestBucket(world.server.endpoint, settings, credentials);
}

/** What is not fine with the host. */
async function examine(world: World, changes: Readonly<Record<string, string>> = {}): Promise<string> {
  const settings = { ...world.settings, ...changes };
  const found = await examineWith(() => openHere(world, settings), settings);
  const ofHost = ['subvolume data', 'SNAPSHOT_DIR', 'room for data', 'RUN_DIR', 'unfinished backups'];
  return linesOf(found, ...ofHost)
    .filter((line) => !line.startsWith('fine'))
    .join('\n')
    .replaceAll(world.mount, 'MOUNT')
    .replaceAll(world.directory, 'ELSEWHERE');
}

test('each thing that keeps a subvolume from being backed up is named with its cure, and cured it passes', async (t) => {
  const world = await smallWorld(t);
  const { data, snapshots } = world;
  await write(world, 'a');

  assert.equal(
    await examine(world),
    'doubtful SNAPSHOT_DIR: others can look into MOUNT/snapshots (mode 755), where files stay that were deleted or locked up since | chmod 700 MOUNT/snapshots',
  );
  await chmod(snapshots, 0o700);
  assert.equal(await examine(world), '');

  const other = await examine(world, { SNAPSHOT_DIR: world.directory });
  assert.match(
    other,
    /^broken subvolume data: SNAPSHOT_DIR ELSEWHERE \(.*\) is not on the filesystem of MOUNT\/data .*\| .*choose a directory on it/,
  );

  const missing = { SNAPSHOT_DIR: join(world.mount, 'not-there') };
  assert.match(
    await examine(world, missing),
    /^broken subvolume data: .* does not exist \| make it with: mkdir -p -m 0700 MOUNT\/not-there/,
  );
  await mkdir(missing.SNAPSHOT_DIR, { mode: 0o700 });
  assert.equal(await examine(world, missing), '');

  assert.match(
    await examine(world, { SUBVOLUMES: `data=${snapshots}` }),
    /^broken subvolume data: .* is not a Btrfs subvolume: it is a plain directory \| name the subvolume that holds it/,
  );

  await shell`btrfs subvolume create ${join(data, 'nested')}`;
  assert.match(await examine(world), /^doubtful subvolume data: .*MOUNT\/data\/nested/);
  assert.equal(await examine(world, { IGNORE_NESTED: join(data, 'nested') }), '');
  await shell`btrfs subvolume delete ${join(data, 'nested')}`;

  await shell`chattr +i ${data}`;
  assert.match(await examine(world), /^doubtful subvolume data: .*immutable.*chattr -i/);
  await shell`chattr -i ${data}`;

  const file = join(data, 'swap file');
  await shell`bash -c ${`touch '${file}' && chattr +C '${file}' && fallocate -l 20M '${file}' && chmod 600 '${file}' && mkswap '${file}'`}`;
  await shell`swapon ${file}`;
  try {
    assert.match(
      await examine(world),
      /^broken subvolume data: MOUNT\/data holds the active swap file MOUNT\/data\/swap file, .*\| move it .*: swapoff 'MOUNT\/data\/swap file'$/,
    );
  } finally {
    await shell`swapoff ${file}`;
  }
  await rm(file);
  assert.equal(await examine(world), '');

  await (await hostIn(world)).plan();
  assert.match(
    await examine(world),
    /^doubtful unfinished backups: the full backup of data of 2\S+ is not finished \| make backup SUBVOLUME=data resumes it$/,
  );
  assert.match(
    await examine(world, { SUBVOLUMES: `home=${data}` }),
    /^doubtful unfinished backups: .* SUBVOLUMES does not name data any more \| name it again/m,
  );
  const [left] = await namesIn(snapshots);
  assert.match(
    await examine(world, { SUBVOLUMES: `home=${data}`, RUN_DIR: join(world.directory, 'other') }),
    new RegExp(
      `^doubtful SNAPSHOT_DIR: 1 snapshot in \\S+, such as ${left}, .*btrfs subvolume delete MOUNT/\\S+/${left}$`,
    ),
  );
  const restoring = { RUN_DIR: join(world.directory, 'other') };
  const { SUBVOLUMES: _, ...settings } = world.settings;
  assert.equal(await examine({ ...world, settings }, restoring), '', 'a host that backs nothing up');
  const { uuid } = await showSubvolume(join(snapshots, left ?? ''));
  const run = new RunDirectory(restoring.RUN_DIR, 'data');
  await run.create();
  await run.writeContinued({
    manifest_key: 'm',
    last_manifest_key: null,
    continued_at: '2026-01-20T02:00:00Z',
    server: 's',
    bucket: 'b',
    snapshot_uuid: uuid,
    transid: 1,
  });
  assert.equal(await examine(world, { ...restoring, SUBVOLUMES: `home=${data}` }), '', 'it is built on yet');
  await rm(world.runDirectory, { recursive: true });

  await markReceived(data);
  assert.match(
    await examine(world),
    /^doubtful subvolume data: MOUNT\/data is writable and has a received UUID/,
  );
});

test('a filesystem that is full is named, and passes when there is room', async (t) => {
  const world = await smallWorld(t);
  await chmod(world.snapshots, 0o700);
  const filler = join(world.data, 'filler');
  await shell`bash -c ${`dd if=/dev/zero of='${filler}' bs=1M status=none; sync`}`.catch(() => undefined);
  assert.match(
    await examine(world),
    /^broken room for data: the filesystem of MOUNT\/data is full: .* are free.*\| make room: btrfs filesystem usage/,
  );
  await rm(filler);
  await shell`btrfs filesystem sync ${world.mount}`;
  assert.equal(await examine(world), '');
});

test('as a command: exit 0 or 1, a document with JSON, and settings that are wrong hide nothing', async (t) => {
  const world = await smallWorld(t);
  const sound = await world.run('doctor.ts', '--json');
  assert.equal(sound.exitCode, 0, sound.stdout + sound.stderr);
  const { checks, broken } = JSON.parse(sound.stdout);
  assert.equal(broken, 0);
  assert.ok(checks.length > 15);
  assert.ok(checks.every(({ says }: { says: unknown }) => typeof says === 'string'));
  assert.equal(sound.stdout.includes(secret), false);

  await write(world, 'a');
  const measured = await world.run('doctor.ts', '--rate', '--set', 'CONCURRENCY=2');
  assert.match(
    measured.stdout,
    /^✓ {2}rate +this host uploads [\d.]+ [KMG]iB\/s, with CONCURRENCY=2\n✓ {2}rate +a full backup of data, about [\d.]+ KiB, takes 0s at that rate$/m,
  );
  const { Uploads } = await world.client.send(new ListMultipartUploadsCommand({ Bucket: 'backups' }));
  assert.equal(Uploads, undefined, 'nothing of it is left');

  const wrong = await world.settingsFile({ S3_BUCKET: undefined, CHUNK_SIZE: 'large', SNAPSHOT_DIR: 'here' });
  const { exitCode, stdout } = await runScript('doctor.ts', ['--config', wrong]);
  assert.equal(exitCode, 1);
  assert.match(stdout, /^✗ {2}settings .*: CHUNK_SIZE is not a size/m);
  assert.match(stdout, /^✗ {2}settings .*: SNAPSHOT_DIR must be an absolute path/m);
  assert.match(stdout, /^✓ {2}node /m);
  assert.match(stdout, /^2 problems: mend what has ✗/m);
  assert.equal((await world.run('doctor.ts', '--role', 'admin')).exitCode, 2);

  const fstab = join(world.directory, 'fstab');
  await writeFile(fstab, `UUID=1 ${world.directory}/disk btrfs noauto\n`);
  const unmounted = await world.settingsFile({ SUBVOLUMES: `${world.directory}/disk/data` });
  const look = (first: string) => {
    const line = `mount --bind "$1" /etc/fstab && ${first} exec scripts/tsx.sh scripts/doctor.ts --config "$2"`;
    const places = [fstab, unmounted, world.mount, `${world.directory}/disk`];
    return runProcess('unshare', ['--mount', 'bash', '-c', line, 'bash', ...places]);
  };
  const away = await look('');
  assert.equal(away.exitCode, 1);
  assert.match(
    away.stdout,
    /^✗ {2}subvolume data .*which is not mounted \(\/etc\/fstab names it\); mount it and run again: mount /m,
  );
  const mounted = await look('mkdir "$4" && mount --bind "$3" "$4" &&');
  assert.match(mounted.stdout, /^✓ {2}subvolume data /m);
  assert.doesNotMatch(mounted.stdout, /not mounted/);
});

test('an age identity that does not open the last backup is named, and one that does passes', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  const { identity: own, recipient: ENCRYPT_TO } = await makeIdentity(world.directory, 'own');
  const { identity: other } = await makeIdentity(world.directory, 'other');
  await (await hostIn(world, { settings: { ENCRYPT_TO } })).backUp();
  const look = async (role: Role, changes: Readonly<Record<string, string>>) => {
    const settings = { ...world.settings, ...changes };
    const found = await examineWith(() => openHere(world, settings), settings, { role });
    return linesOf(found, 'age identity');
  };
  assert.match(
    (await look('restore', {})).join(),
    /^broken age identity: the backup \S+ is encrypted, and DECRYPT_WITH is not set \| name the file with its key: SET="DECRYPT_WITH=/,
  );
  assert.match(
    (await look('restore', { DECRYPT_WITH: other })).join(),
    /^broken age identity: the identity file \S+other of DECRYPT_WITH does not open the backup of data/,
  );
  await chmod(own, 0o644);
  assert.match(
    (await look('restore', { DECRYPT_WITH: own })).join(),
    /^broken age identity: .*can be read by others \(mode 644\) \| run: chmod 600/,
  );
  await chmod(own, 0o600);
  assert.deepEqual(await look('restore', { DECRYPT_WITH: own }), [
    `fine age identity: ${own} opens the last backup of data`,
  ]);
  assert.match((await look('backup', {})).join(), /^skipped age identity: make backup needs none/);
});
