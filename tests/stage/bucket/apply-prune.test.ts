/** Pruning of histories made up at random, looked at after every single key that went: any of them may be the last one. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Manifest } from '../../../lib/core/format/manifest.ts';
import { type PrunePlan, planPrune } from '../../../lib/core/plan/prune/prune-plan.ts';
import { RunDirectory } from '../../../lib/edge/files/run-directory.ts';
import { applyPrune, type PruneOutcome } from '../../../lib/stage/bucket/apply-prune.ts';
import { type DeletingOptions, deletingBucket, Killed } from '../../support/deleting-bucket.ts';
import { runs } from '../../support/fuzz.ts';
import { type History, histories, inputOf, prefix } from '../../support/prune-history.ts';
import { stageContext } from '../../support/stage-context.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('apply-prune');
const idle = deletingBucket({ objects: new Map(), prefix, onDeleted: () => undefined });
const { context } = stageContext(idle, { RUN_DIR: join(directory, 'run') });
const run = new RunDirectory(context.settings.RUN_DIR, 'data');

/** Plans with what the last prune has recorded, as the stage does. */
async function plan(history: History): Promise<PrunePlan> {
  const recorded = await run.readPruning();
  return planPrune({ ...inputOf(history), pruned: recorded?.manifest_keys ?? [] });
}

function apply(
  history: History,
  planned: PrunePlan,
  options: Omit<DeletingOptions, 'objects' | 'prefix'>,
): Promise<PruneOutcome> {
  const onAborted = (uploadId: string) => {
    history.uploads.splice(
      history.uploads.findIndex((upload) => upload.uploadId === uploadId),
      1,
    );
  };
  const bucket = deletingBucket({ objects: history.objects, prefix, onAborted, ...options });
  return applyPrune({ ...context, bucket }, planned);
}

function usable(history: History): ReadonlyMap<string, Manifest> {
  const found = new Map<string, Manifest>();
  for (const [key, manifest] of history.manifests) {
    if (!('unusable' in manifest) && history.objects.has(key)) found.set(key, manifest);
  }
  return found;
}

/** Whether a backup can be restored from what is there: worked out the slow and plain way. */
function isWhole(key: string, history: History): boolean {
  const manifest = usable(history).get(key);
  if (!manifest || manifest.chunks.some((chunk) => !history.objects.has(chunk.key))) return false;
  return manifest.parent_manifest === null || isWhole(manifest.parent_manifest, history);
}

function ancestorsOf(key: string, manifests: ReadonlyMap<string, Manifest>): readonly string[] {
  const parent = manifests.get(key)?.parent_manifest ?? null;
  return parent === null ? [key] : [...ancestorsOf(parent, manifests), key];
}

/** The whole backups that the rule keeps, by their keys: stated here a second time, without the code under test. */
function keptByRule(history: History): ReadonlySet<string> {
  const manifests = usable(history);
  const whole = [...manifests.keys()].filter((key) => isWhole(key, history));
  const { pointer, keep, begun } = history.input;
  if (pointer === undefined) return new Set(whole);
  const rootOf = (key: string) => ancestorsOf(key, manifests)[0] ?? key;
  const fulls = whole.filter((key) => manifests.get(key)?.kind === 'full').sort();
  const spoilt = [...history.manifests.keys()].filter((key) => !whole.includes(key));
  const pins = 'manifestKey' in pointer ? [pointer.manifestKey, ...spoilt] : spoilt;
  if (begun.parentKey !== undefined) pins.push(begun.parentKey);
  const roots = new Set([
    ...fulls.slice(-keep),
    ...pins.flatMap((key) => ancestorsOf(key, manifests)).map(rootOf),
  ]);
  return new Set(whole.filter((key) => roots.has(rootOf(key))));
}

const shuffles = fc.func(fc.nat());
const orderBy = (rank: (key: string) => number) => (names: readonly string[]) =>
  [...names].sort((a, b) => rank(a) - rank(b));

test('after every deleted key all that is kept is whole, and at the end it is all that there is', async () => {
  let deletions = 0;
  const property = fc.asyncProperty(histories, shuffles, async (history, rank) => {
    const kept = keptByRule(history);
    const manifestsBefore = [...usable(history).keys()];
    const wholeBefore = manifestsBefore.filter((key) => isWhole(key, history));
    const spared = [...history.untouchable].filter((key) => history.objects.has(key));
    const outcome = await apply(history, await plan(history), {
      order: orderBy(rank),
      onDeleted(key) {
        deletions++;
        assert.ok(!history.untouchable.has(key), `${key} was touched`);
        for (const each of kept) assert.ok(isWhole(each, history), `${each} is no longer whole after ${key}`);
        // What goes is whole as well for as long as it is there.
        const left = wholeBefore.filter((each) => history.objects.has(each));
        for (const each of left) assert.ok(isWhole(each, history), `${each} is torn after ${key}`);
      },
    });
    assert.deepEqual(outcome.refused, []);
    assert.deepEqual(
      spared.filter((key) => !history.objects.has(key)),
      [],
    );
    const left = wholeBefore.filter((key) => history.objects.has(key));
    assert.deepEqual(new Set(left), kept);
    const broken = manifestsBefore.filter((key) => !wholeBefore.includes(key));
    assert.ok(
      broken.every((key) => history.objects.has(key)),
      'broken backups are left alone',
    );
    assert.equal(await run.readPruning(), undefined, 'nothing is left to remember');

    const again = await plan(history);
    assert.deepEqual([again.removals, again.orphans.filter(({ action }) => action === 'remove')], [[], []]);
    assert.deepEqual(
      [...keptByRule(history)].sort(),
      [...kept].sort(),
      'the rule keeps the same when it is applied again',
    );
  });
  await fc.assert(property, runs(300));
  assert.ok(deletions > 1000, `only ${deletions} keys were deleted in all`);
});

test('killed anywhere, the next prune removes at once what is left, and leaves what one prune alone leaves', async () => {
  let kills = 0;
  await fc.assert(
    fc.asyncProperty(histories, shuffles, fc.nat({ max: 30 }), async (history, rank, moment) => {
      const alone: History = {
        ...history,
        objects: new Map(history.objects),
        uploads: [...history.uploads],
      };
      await apply(alone, await plan(alone), { onDeleted: () => undefined });
      let left = moment;
      const killed = await apply(history, await plan(history), {
        order: orderBy(rank),
        onDeleted() {
          if (left-- === 0) throw new Killed();
        },
      }).then(
        () => false,
        () => true,
      );
      if (killed) kills++;
      await apply(history, await plan(history), { onDeleted: () => undefined });
      assert.deepEqual([...history.objects.keys()].sort(), [...alone.objects.keys()].sort());
      assert.deepEqual(history.uploads, alone.uploads);
      await run.forgetPruning();
    }),
    runs(200),
  );
  assert.ok(kills > 40, `only ${kills} were killed`);
});

test('without its record of it, a killed prune leaves chunks that wait, and nothing torn', async () => {
  await fc.assert(
    fc.asyncProperty(histories, fc.nat({ max: 30 }), async (history, moment) => {
      const kept = keptByRule(history);
      let left = moment;
      const stop = () => {
        if (left-- === 0) throw new Killed();
      };
      await apply(history, await plan(history), { onDeleted: stop }).catch(() => undefined);
      await run.forgetPruning();
      await apply(history, await plan(history), { onDeleted: () => undefined });
      for (const key of kept) assert.ok(isWhole(key, history), key);
    }),
    runs(100),
  );
});

test('keys that are refused are reported, what they need stays, and the rest goes', async () => {
  let refusals = 0;
  await fc.assert(
    fc.asyncProperty(histories, shuffles, fc.nat({ max: 6 }), async (history, rank, share) => {
      const before = [...history.objects.keys()];
      const denied = new Set(before.filter((key) => rank(key) % 7 < share));
      const wholeBefore = before.filter((key) => isWhole(key, history));
      const planned = await plan(history);
      const outcome = await apply(history, planned, { denied, onDeleted: () => undefined });
      for (const key of wholeBefore.filter((each) => history.objects.has(each)))
        assert.ok(isWhole(key, history), `${key} is torn`);
      const named = [
        ...planned.removals.flatMap(({ manifest, objects }) => [manifest, ...objects]),
        ...planned.orphans.filter(({ action }) => action === 'remove').flatMap(({ objects }) => objects),
      ].map(({ key }) => key);
      const manifests = new Set(planned.removals.map(({ manifest }) => manifest.key));
      const told = new Set(outcome.refused.map(({ key }) => key));
      for (const key of named.filter((each) => history.objects.has(each))) {
        const owner = planned.removals.find(({ objects }) => objects.some((object) => object.key === key));
        assert.ok(told.has(key) || (owner && told.has(owner.manifest.key)), `${key} stays and is not told`);
      }
      assert.equal(told.size, outcome.refused.length, 'each is reported once');
      assert.deepEqual(
        [...told].filter((key) => !denied.has(key) && !manifests.has(key)),
        [],
      );
      assert.equal((await run.readPruning()) !== undefined, told.size > 0);
      refusals += told.size;
      await run.forgetPruning();
    }),
    runs(150),
  );
  assert.ok(refusals > 100, `only ${refusals} were refused`);
});
