/** What make init proposes, on a Btrfs filesystem that is mounted below another one. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { mendFirst, nextSteps } from '../../../lib/cli/init/next-steps.ts';
import { btrfsMounts } from '../../../lib/edge/btrfs/mounts/mounts.ts';
import { lookAtMachine, restoreTargetFor } from '../../../lib/stage/setup/machine-facts.ts';
import { btrfs, loopBtrfs } from '../../support/loop-btrfs.ts';
import { settingsOf } from '../../support/settings.ts';

const mount = await loopBtrfs('machine-facts');
const data = join(mount, 'data');
btrfs('subvolume', 'create', data);

test('the first restore goes beside the subvolume, or within it where that would be another filesystem', async () => {
  assert.equal(await restoreTargetFor({ name: 'data', path: data }), join(mount, 'restored-data'));
  assert.equal(await restoreTargetFor({ name: 'all', path: mount }), join(mount, 'restored'));
  const adopted = { name: 'x', snapshots: join(mount, 'not-there/*/snapshot') };
  assert.equal(await restoreTargetFor(adopted), join(mount, 'restored-x'));
});

test('a subvolume of snapshots is not proposed for a backup, also where it is mounted by itself', async (t) => {
  const [snapshots, own] = [join(mount, '@snapshots'), join(data, '.snapshots')];
  btrfs('subvolume', 'create', snapshots);
  mkdirSync(join(snapshots, '1'));
  btrfs('subvolume', 'snapshot', '-r', data, join(snapshots, '1/snapshot'));
  mkdirSync(own);
  execFileSync('mount', ['--bind', snapshots, own]);
  t.after(() => execFileSync('umount', [own]));
  const mounts = (await btrfsMounts()).filter(({ target }) => target.startsWith(mount));
  assert.deepEqual(await lookAtMachine(mounts), {
    subvolumes: [data],
    snapshots: [{ program: 'snapper', setting: `data=snapshots:${own}/*/snapshot` }],
  });
});

test('a subvolume that two mounts show is proposed once, where it is mounted by itself', async (t) => {
  const place = join(data, 'by-itself');
  mkdirSync(place);
  execFileSync('mount', ['--bind', data, place]);
  t.after(() => execFileSync('umount', [place]));
  const mounts = (await btrfsMounts()).filter(({ target }) => target.startsWith(mount));
  assert.equal(mounts.length, 2);
  assert.deepEqual((await lookAtMachine(mounts)).subvolumes, [place]);
});

test('a top level that holds data of its own is proposed with the subvolumes in it', async (t) => {
  const own = async () =>
    (await lookAtMachine((await btrfsMounts()).filter(({ target }) => target === mount))).subvolumes;
  assert.deepEqual(await own(), [data]);
  const share = join(mount, 'photos');
  mkdirSync(share);
  t.after(() => rmdirSync(share));
  assert.deepEqual(await own(), [mount, data]);
});

test('the restore that make init ends with names that path', async () => {
  const settings = settingsOf({ SUBVOLUMES: `all=${mount},${data}` });
  const steps = (await nextSteps(settings, 'config/backup.env', undefined)).join('\n');
  assert.match(
    mendFirst('/etc/x.env'),
    /^Mend what has ✗ first: edit \/etc\/x\.env, .* make doctor CONFIG=\/etc\/x\.env /,
  );
  assert.match(steps, new RegExp(`make restore SUBVOLUME=all TARGET=${mount}/restored +#`));
});
