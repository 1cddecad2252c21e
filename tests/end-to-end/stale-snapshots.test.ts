/** Snapshots of others that are no longer made: a warning at first, and a failure from then on. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { exitCodeOf } from '../../lib/core/errors.ts';
import { prepareSnapshot } from '../../lib/stage/backup/snapshot.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { refusal, smallWorld, write } from './small-world.ts';
import { hostIn } from './within-process.ts';

test('when nothing newer than the last backup is there, a timer warns once it is due, and fails after another period', async (t) => {
  const world = await smallWorld(t);
  const theirs = join(world.mount, 'theirs');
  await mkdir(theirs);
  await write(world, 'a');
  await shell`btrfs subvolume snapshot -r ${world.data} ${join(theirs, '1')}`;
  const snapshots = `${theirs}/*`;
  const host = await hostIn(world, { snapshots, settings: { INCREMENTAL_EVERY: '7d' } });
  await host.backUp();
  const afterDays = (days: number, ifDue = true) => {
    const now = () => new Date(Date.now() + days * 86_400_000);
    const request = { kind: 'auto', ifDue, dryRun: false } as const;
    return prepareSnapshot({ ...host.context, now }, { name: 'data', snapshots }, request);
  };
  const kindAfter = async (days: number, ifDue = true) => {
    const planned = await afterDays(days, ifDue);
    return 'kind' in planned && planned.kind;
  };
  assert.equal(await kindAfter(3), 'none');
  assert.deepEqual(host.warnings, []);
  assert.equal(await kindAfter(8), 'none');
  assert.match(
    host.warnings.join('\n'),
    /^data: the next incremental backup is due, but there is no snapshot newer/,
  );
  const error = await refusal(afterDays(15));
  assert.equal(exitCodeOf(error), 1);
  assert.match(
    error.message,
    /^the next incremental backup of data is due, but the newest snapshot is that of the last one, of \S+Z$/,
  );
  assert.match(error.hint ?? '', /remove the entry from SUBVOLUMES/);
  assert.equal(await kindAfter(15, false), 'none', 'whoever asks gets the answer');
});
