/** One subvolume under two names: the second chain is no secret. */
import assert from 'node:assert/strict';
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { shell } from '../../testing/harness/processes/shell.ts';
import { smallWorld, write } from './small-world.ts';
import { hostIn } from './within-process.ts';
import { readObject, writeObject } from './world.ts';

test('the first backup under a name says under which other one the subvolume has backups, wherever it is by now', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  const { key, manifest } = await (await hostIn(world)).backUp();
  const moved = join(world.mount, 'srv');
  await rename(world.data, moved);
  const srv = await hostIn(world, { name: 'srv', path: moved });
  const says = `srv: this subvolume has backups as "data", the last of ${manifest.created_at.replace(/(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z/, '$1-$2-$3T$4:$5:$6Z')}: a second chain begins; to continue that one, call it data= in SUBVOLUMES`;
  await srv.plan('auto', false, true);
  assert.deepEqual(srv.warnings, [says]);
  // Manifests of earlier versions do not name the subvolume; the snapshot is still here.
  const document = JSON.parse(await readObject(world, key));
  delete document.snapshot.source_uuid;
  await writeObject(world, key, JSON.stringify(document));
  await srv.plan('full', false, true);
  assert.deepEqual(srv.warnings, [says, says]);
  await srv.backUp();
  await write({ ...world, data: moved }, 'b');
  await srv.backUp();
  assert.equal(srv.warnings.length, 3, 'once it has a chain, nothing is said');

  const other = join(world.mount, 'other');
  await shell`btrfs subvolume create ${other}`;
  const unrelated = await hostIn(world, { name: 'other', path: other });
  await unrelated.plan('auto', false, true);
  assert.deepEqual(unrelated.warnings, []);
});

test('snapshots of others under a second name are known by their own UUIDs', async (t) => {
  const world = await smallWorld(t);
  const theirs = join(world.mount, 'theirs');
  await mkdir(theirs);
  await write(world, 'a');
  await shell`btrfs subvolume snapshot -r ${world.data} ${join(theirs, 'one')}`;
  await shell`btrfs send -q ${join(theirs, 'one')} | btrfs receive -q ${world.snapshots}`;
  const snapshots = `${world.snapshots}/*`;
  await (await hostIn(world, { snapshots })).backUp();
  const second = await hostIn(world, { name: 'second', snapshots });
  await second.plan('auto', false, true);
  assert.match(second.warnings.join('\n'), /^second: this subvolume has backups as "data"/);
});
