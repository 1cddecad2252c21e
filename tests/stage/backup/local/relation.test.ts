/** That every increment which is planned is received as what it was sent from, whatever the family of its two snapshots. */
import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { type FoundSubvolume, subvolumeAt } from '../../../../lib/edge/btrfs/btrfs.ts';
import { whyNotIncremental } from '../../../../lib/edge/btrfs/compare-inodes.ts';
import { readStreamHead } from '../../../../lib/edge/btrfs/read-stream-head.ts';
import { lookAtFilesystem } from '../../../../lib/edge/btrfs/whole-filesystem.ts';
import { relationTo } from '../../../../lib/stage/backup/local/relation.ts';
import { deterministicRandom } from '../../../../testing/harness/deterministic-random.ts';
import { createLoopFilesystem } from '../../../../testing/harness/loop-filesystem.ts';
import { cleanUpAfter } from '../../../end-to-end/world.ts';
import { clearFilesystem, sendAndReceive } from '../../../support/history/commands.ts';
import { choose } from '../../../support/history/edit.ts';
import { differencesOf, Hands } from '../../../support/history/hands.ts';
import { makeFamily } from '../../../support/random-family.ts';

const sizeBytes = 1024 * 2 ** 20;
const pairsOfEach = 16;

async function at(path: string): Promise<FoundSubvolume> {
  return (await subvolumeAt(path, basename(path))) ?? assert.fail(`no subvolume at ${path}`);
}

/** What is decided of a pair: `proven`, `compared`, or why no increment is planned. */
async function decide(parentPath: string, sourcePath: string): Promise<string> {
  const [parent, source] = [await at(parentPath), await at(sourcePath)];
  const filesystem = await lookAtFilesystem(sourcePath);
  const createdTransid = filesystem.subvolumes.get(source.uuid)?.createdTransid ?? 0;
  const sent = { ...source, createdTransid };
  const { is } = await relationTo({ sent, filesystem }, parent, await readStreamHead(parentPath));
  if (is !== 'unproven') return is;
  return (await whyNotIncremental(parentPath, sourcePath, new AbortController().signal)) ?? 'compared';
}

/** Receives the source as an increment on the parent, on another filesystem, and gives what differs. */
async function differencesOfIncrement(
  parent: string,
  source: string,
  elsewhere: string,
  hands: Hands,
): Promise<readonly string[]> {
  const [into, onto] = [await mkdtemp(join(elsewhere, 'a')), await mkdtemp(join(elsewhere, 'b'))];
  try {
    await sendAndReceive(parent, into);
    await sendAndReceive(source, onto, parent);
    const differences = differencesOf(
      await hands.walk(source),
      await hands.walk(join(onto, basename(source))),
    );
    // Streams do not always carry that time; the manifest has it.
    return differences.filter((line) => !/^"\.": mtime \S+ became \S+$/.test(line));
  } catch (error) {
    return [String(error)];
  } finally {
    await clearFilesystem(elsewhere);
  }
}

test('in random families of subvolumes every increment that is planned is received equal', async (t) => {
  const cleanUp = cleanUpAfter(t);
  const hands = new Hands();
  cleanUp(async () => hands.close());
  const [filesystem, elsewhere] = [
    await createLoopFilesystem({ name: 'relation', sizeBytes }),
    await createLoopFilesystem({ name: 'relation-elsewhere', sizeBytes }),
  ];
  cleanUp(() => filesystem.remove());
  cleanUp(() => elsewhere.remove());

  const outcomes: Record<string, number> = { proven: 0, compared: 0, full: 0, 'full, and rightly so': 0 };
  const count = (outcome: string) => {
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  };
  for (const seed of (process.env.SEED ?? '4,5').split(',')) {
    const { readOnly, done } = await makeFamily(filesystem, hands, `family ${seed}`);
    const random = deterministicRandom(`pairs ${seed}`);
    for (let pair = 0; pair < pairsOfEach; pair++) {
      const [parent, source] = [choose(random, readOnly), choose(random, readOnly)];
      if (!parent || !source || parent === source) continue;
      const decision = await decide(parent, source);
      const differences = await differencesOfIncrement(parent, source, elsewhere.mountPoint, hands);
      if (decision === 'proven' || decision === 'compared') {
        count(decision);
        const what = `SEED=${seed}: ${basename(source)} on ${basename(parent)} is ${decision}`;
        assert.deepEqual(differences, [], `${what}\n${done.join('\n')}`);
      } else count(differences.length > 0 ? 'full, and rightly so' : 'full');
      if (process.env.SHOW) console.log(seed, decision, differences.length > 0 ? differences[0] : 'equal');
    }
    await clearFilesystem(filesystem.mountPoint);
  }
  t.diagnostic(JSON.stringify(outcomes));
  for (const [outcome, times] of Object.entries(outcomes)) assert.ok(times > 0, `none is ${outcome}`);
});
