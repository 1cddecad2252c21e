/** Which backup has a nested subvolume that a restored one lacks. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { describeMissing, findNestedBackups } from '../../lib/stage/restore/nested-backups.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { smallWorld, write } from './small-world.ts';
import { hostIn } from './within-process.ts';

test('a nested subvolume that has been made anew since is named with the backups that have it', async (t) => {
  const world = await smallWorld(t);
  const inner = join(world.data, 'inner');
  for (const path of [inner, join(world.data, 'other')]) await shell`btrfs subvolume create ${path}`;
  await write(world, 'a');
  const outerHost = await hostIn(world);
  const innerHost = await hostIn(world, { name: 'inner', path: inner });
  const before = await outerHost.backUp();
  await sleep(1100);
  await innerHost.backUp();
  await shell`btrfs subvolume delete ${inner}`;
  await shell`btrfs subvolume create ${inner}`;
  await sleep(1100);
  const { manifest } = await innerHost.backUp('full');
  const found = await findNestedBackups(outerHost.context, before.manifest);
  assert.deepEqual(
    new Map(found.map(({ path, backup }) => [path, backup])),
    new Map([
      ['inner', { subvolume: 'inner', created_at: manifest.created_at }],
      ['other', null],
    ]),
  );
  assert.match(describeMissing(found).join('\n'), /inner \(backed up as "inner", last on .*\)/);
});
