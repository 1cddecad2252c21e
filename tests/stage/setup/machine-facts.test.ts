/** What make init proposes, on a Btrfs filesystem that is mounted below another one. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { mendFirst, nextSteps } from '../../../lib/cli/init/next-steps.ts';
import { restoreTargetFor } from '../../../lib/stage/setup/machine-facts.ts';
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

test('the restore that make init ends with names that path', async () => {
  const settings = settingsOf({ SUBVOLUMES: `all=${mount},${data}` });
  const steps = (await nextSteps(settings, 'config/backup.env', undefined)).join('\n');
  assert.match(
    mendFirst('/etc/x.env'),
    /^Mend what has ✗ first: edit \/etc\/x\.env, .* make doctor CONFIG=\/etc\/x\.env /,
  );
  assert.match(steps, new RegExp(`make restore SUBVOLUME=all TARGET=${mount}/restored +#`));
});
