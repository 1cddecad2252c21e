/** What lies below a subvolume and is no part of its backup: one warning, in words that can be put into the settings. */
import assert from 'node:assert/strict';
import { mkdir, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { shell } from '../../testing/harness/processes/shell.ts';
import { unmount } from '../support/unmount-everywhere.ts';
import { smallWorld } from './small-world.ts';
import { type HostOptions, hostIn } from './within-process.ts';
import type { World } from './world.ts';

let runs = 0;

/** The warnings of a plan, of nested subvolumes and mounts, and what the manifest would name. */
async function planned(world: World, settings: Readonly<Record<string, string>>, options: HostOptions = {}) {
  const RUN_DIR = join(world.directory, `run-${runs++}`);
  const host = await hostIn(world, { ...options, settings: { ...settings, RUN_DIR } });
  await host.plan();
  const { nested } = JSON.parse(
    (await shell`cat ${join(RUN_DIR, options.name ?? 'data', 'snapshot.json')}`).stdout,
  ).snapshot;
  return { warnings: host.warnings, nested: nested.map(({ path }: { path: string }) => path) };
}

const subvolume = (path: string) => shell`btrfs subvolume create ${path}`;

test('nested subvolumes are named as they can be added to SUBVOLUMES; what is listed there or ignored is not', async (t) => {
  const world = await smallWorld(t);
  const { data } = world;
  const silence = 'IGNORE_NESTED names what needs no warning';
  const what = 'data: nested subvolumes are not part of this backup:';
  const copy = 'home__20261124T020000Z__inc__restored';
  for (const name of ['docker', 'b/docker', 'my photos', '.snapshots', copy]) {
    await mkdir(join(data, name, '..'), { recursive: true });
    await subvolume(join(data, name));
  }
  await shell`btrfs subvolume snapshot -r ${data} ${join(data, '.snapshots/1')}`;
  await subvolume(join(data, 'docker', 'inner'));
  const inner = join(data, 'docker', 'inner');

  const first = await planned(world, {});
  const items = [`${data}/docker`, `b-docker=${data}/b/docker`, `my-photos=${data}/my photos`, inner];
  assert.deepEqual(first.warnings, [
    `${what} ${items.join(', ')}; add them to SUBVOLUMES as they stand here; ${silence}`,
  ]);
  assert.deepEqual(first.nested, ['docker', 'b/docker', 'my photos', 'docker/inner']);

  const all = { SUBVOLUMES: [data, ...items].join() };
  const listed = await planned(world, all);
  assert.deepEqual(listed.warnings, []);
  assert.deepEqual(listed.nested, first.nested, 'restore tells which backups have them');
  const { warnings: half } = await planned(world, { SUBVOLUMES: `${data},${data}/docker` });
  assert.doesNotMatch(half.join(), /inner/, 'what lies in one that is backed up is its own to warn of');

  const ignoring = await planned(world, { IGNORE_NESTED: `${data}/docker,**/data/b/*` });
  assert.deepEqual(ignoring.warnings, [
    `${what} my-photos=${data}/my photos; add them to SUBVOLUMES as they stand here; ${silence}`,
  ]);
  assert.deepEqual(ignoring.nested, ['my photos']);

  // In the way of docker.
  for (let number = 10; number < 130; number++) await subvolume(join(data, 'docker', `layer-${number}`));
  const { warnings } = await planned(world, {});
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', / and 119 more; add them/);
  assert.ok((warnings[0]?.length ?? 0) < 1000);
});

test('one that is backed up by way of another mount, or from the snapshots of others, is not named', async (t) => {
  const world = await smallWorld(t);
  const { data, directory } = world;
  await subvolume(join(data, 'vm'));
  await subvolume(join(data, 'home'));
  await mkdir(join(world.mount, 'theirs'));
  await shell`btrfs subvolume snapshot -r ${join(data, 'home')} ${join(world.mount, 'theirs', 'home.1')}`;
  const elsewhere = join(directory, 'vm');
  await mkdir(elsewhere);
  const [device] = (await shell`findmnt -n -o SOURCE ${world.mount}`).stdout.split('\n');
  await shell`mount -o subvol=data/vm ${device} ${elsewhere}`;
  world.cleanUp(() => unmount(elsewhere));
  const SUBVOLUMES = `${data},vm=${elsewhere},home=snapshots:${world.mount}/theirs/home.*`;
  assert.deepEqual((await planned(world, { SUBVOLUMES })).warnings, []);
  assert.match((await planned(world, {})).warnings.join(), /data\/vm, \S+data\/home; add them/);
});

test('mounts are named with source and type, unless they are backed up, ignored, or show what is in the backup', async (t) => {
  const world = await smallWorld(t);
  const { data, mount } = world;
  const mounted = async (name: string, ...options: readonly string[]) => {
    await mkdir(join(data, name), { recursive: true });
    await shell`mount ${options} ${join(data, name)}`;
    world.cleanUp(() => unmount(join(data, name)));
  };
  const [device] = (await shell`findmnt -n -o SOURCE ${mount}`).stdout.split('\n');
  for (const name of ['@home', '@snapshots']) await subvolume(join(mount, name));
  await mkdir(join(mount, '@home/me'));
  await mounted('home', '-o', 'subvol=@home', device ?? '');
  await mounted('mine', '--bind', join(mount, '@home/me'));
  await mounted('again', '--bind', join(data, 'home/..'));
  await mounted('snapshots', '-o', 'subvol=@snapshots', device ?? '');
  await mounted('cache', '-t', 'tmpfs', 'tmpfs');
  const image = join(world.directory, 'ext4.img');
  await writeFile(image, '');
  await truncate(image, 16 * 2 ** 20);
  await shell`mkfs.ext4 -q ${image}`;
  await mounted('boot', '-o', 'loop', image);

  const settings = { SNAPSHOT_DIR: join(data, 'snapshots') };
  const { warnings } = await planned(world, settings);
  const [line = '', ...more] = warnings.map((text) => text.replaceAll(/\/dev\/loop\d+/g, 'LOOP'));
  assert.deepEqual(more, []);
  assert.equal(
    line,
    `data: what is mounted below ${data} is not part of this backup: ${data}/home (btrfs on LOOP[/@home]), ${data}/mine (btrfs on LOOP[/@home/me]), ${data}/boot (ext4 on LOOP); add to SUBVOLUMES: ${data}/home; IGNORE_NESTED names what needs no warning`,
  );
  const SUBVOLUMES = `${data},${data}/home`;
  const { warnings: fewer } = await planned(world, { ...settings, SUBVOLUMES });
  assert.match(fewer.join(), /: \S+data\/boot \(ext4 on \S+\); IGNORE_NESTED/);
  assert.doesNotMatch(fewer.join(), /home|mine/, 'neither the subvolume nor a directory of it');
  const IGNORE_NESTED = `${data}/b*`;
  assert.deepEqual((await planned(world, { ...settings, SUBVOLUMES, IGNORE_NESTED })).warnings, []);
});

test('by a link to the subvolume, and to SNAPSHOT_DIR, the same is named, and ignored by either path', async (t) => {
  const world = await smallWorld(t);
  const { data, directory, mount } = world;
  const [link, snapshots] = [join(directory, 'link'), join(directory, 'snapshots')];
  await symlink(data, link);
  for (const name of ['vm', 'kept']) await subvolume(join(data, name));
  await symlink(join(data, 'kept'), snapshots);
  await mkdir(join(mount, 'other'));
  await mkdir(join(data, 'bound'));
  await shell`mount --bind ${join(mount, 'other')} ${join(data, 'bound')}`;
  world.cleanUp(() => unmount(join(data, 'bound')));
  const settings = { SUBVOLUMES: `data=${link}`, SNAPSHOT_DIR: snapshots };
  const named = async (IGNORE_NESTED: string) =>
    (await planned(world, { ...settings, IGNORE_NESTED }, { path: link })).warnings.map((line) =>
      line.split(';')[0]?.replace(/ \(btrfs on .*/, ''),
    );
  assert.deepEqual(await named(''), [
    `data: nested subvolumes are not part of this backup: ${data}/vm`,
    `data: what is mounted below ${data} is not part of this backup: ${data}/bound`,
  ]);
  assert.deepEqual(await named(`${link}/vm,${data}/bound`), []);
});

test('below the source of the snapshots of others the same is named, by the path where it is mounted', async (t) => {
  const world = await smallWorld(t);
  const { data, mount } = world;
  await subvolume(join(data, 'vm'));
  await subvolume(join(mount, '@theirs'));
  await shell`btrfs subvolume snapshot -r ${data} ${join(mount, '@theirs', 'data.1')}`;
  const theirs = join(world.directory, 'theirs');
  await mkdir(theirs);
  const [device] = (await shell`findmnt -n -o SOURCE ${mount}`).stdout.split('\n');
  await shell`mount -o subvol=@theirs ${device} ${theirs}`;
  world.cleanUp(() => unmount(theirs));
  const { prepareSnapshot } = await import('../../lib/stage/backup/snapshot.ts');
  const plan = async () => {
    const { context, warnings } = await hostIn(world);
    const adopting = { name: 'data', snapshots: `${theirs}/data.*` };
    await prepareSnapshot(context, adopting, { kind: 'auto', ifDue: false, dryRun: true });
    return warnings.join();
  };
  assert.match(await plan(), new RegExp(`not part of this backup: ${data}/vm; add them to SUBVOLUMES`));
  await unmount(mount);
  world.cleanUp(() => shell`mount ${device} ${mount}`);
  assert.match(
    await plan(),
    /not part of this backup: \/data\/vm, below the top level of the filesystem; mount data to back them up/,
  );
});
