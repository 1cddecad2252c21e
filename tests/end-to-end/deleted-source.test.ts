/**
 * What others delete meanwhile: a backup old snapshots, with one of which a restore or a drill may be comparing for hours; a prune old backups, one
 * of which may be restored.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { lockForDeleting } from '../../lib/edge/files/reading-lock.ts';
import type { StageContext } from '../../lib/stage/context.ts';
import { restoreBackup } from '../../lib/stage/restore/restore.ts';
import { drillEach } from '../../lib/stage/watch/drill/drills.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { smallWorld, write } from './small-world.ts';
import { hostIn } from './within-process.ts';

const request = {
  subvolume: 'data',
  selection: {},
  thaw: {},
  verifyMode: 'full',
  mayWait: true,
  readOnly: false,
} as const;
const deleted =
  'not compared file by file: the source snapshot was deleted meanwhile, as a backup does with old ones';

/** A backup, and a context in which its snapshot is deleted when the setting is asked for that a comparison needs, the so-manieth time. */
async function makeScene(t: TestContext, time: number) {
  const world = await smallWorld(t);
  const { context, backUp } = await hostIn(world, {
    settings: { SPOOL_DIR: join(world.directory, 'spool') },
  });
  await write(world, 'one', 'two');
  const { manifest } = await backUp();
  let times = 0;
  const settings: StageContext['settings'] = new Proxy(context.settings, {
    get(all, key) {
      if (key === 'VERIFY_SAMPLE_FILES' && ++times === time) {
        const { status } = spawnSync('btrfs', ['subvolume', 'delete', manifest.snapshot.path]);
        assert.equal(status, 0);
      }
      return all[key as keyof typeof all];
    },
  });
  return { world, context: { ...context, settings } };
}

test('a restore whose source is deleted while it is compared is restored, and not compared', async (t) => {
  const { world, context } = await makeScene(t, 1);
  const target = join(world.mount, 'restored');
  const { proofs } = await restoreBackup(context, { ...request, target });
  assert.equal(proofs[1], deleted);
  assert.deepEqual(await treeDigest(target), await treeDigest(world.data));
});

test('so is a drill, which has proved what it could', async (t) => {
  // The restore into the scratch image takes a copy of all settings.
  const { context } = await makeScene(t, 2);
  const [result] = await drillEach(
    context,
    { ...request, cadence: undefined, isDryRun: false },
    () => undefined,
  );
  assert.ok(result?.did === 'drill', JSON.stringify(result));
  const { result: verdict, proofs } = result.outcome.record;
  assert.deepEqual([verdict, proofs[1]], ['sound', deleted]);
});

test('as long as a restore runs no prune does, and one that begins during a prune warns', async (t) => {
  const world = await smallWorld(t);
  const { context, warnings, backUp, restore } = await hostIn(world);
  await write(world, 'one');
  await backUp();
  const { RUN_DIR } = context.settings;
  let whileRestored: unknown;
  await restore(
    join(world.mount, 'first'),
    {},
    {
      onInPlace: async () => {
        whileRestored = await lockForDeleting(RUN_DIR).catch(({ kind }) => kind);
      },
    },
  );
  assert.equal(whileRestored, 'locked');
  const prune = await lockForDeleting(RUN_DIR);
  await restore(join(world.mount, 'second'));
  assert.equal(warnings.at(-1), 'a prune runs on this host: what it deletes cannot be restored');
  await prune.release();
});
