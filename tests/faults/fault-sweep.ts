/**
 * Every fault that the embedded server plays, at random requests of a backup and of a restore: what the scripts call a
 * success is one, to the bit, and after what they call a failure the same commands work once the faults are over.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { DeterministicRandom } from '../../testing/harness/deterministic-random.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { mutateData, seedData } from '../../testing/harness/seed-data.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import type { FaultRule } from '../../testing/s3-server/faults/fault-rules.ts';
import { createWorld, mustSucceed, type World } from '../end-to-end/world.ts';
import { assertClearFailure, restoreElsewhere, seededRandom, stages } from './sweep.ts';

const mib = 2 ** 20;

/** Requests of each kind that a case may make before its faults are used up. */
const requestsOfACase = 1000;

type Fault = FaultRule extends infer Rule ? Omit<Rule, 'skip' | 'next' | 'every'> : never;

/** What can be played; positions in a body are anywhere in a small answer, or in the beginning of a part. */
const faults = {
  'internal error': () => ({ fault: 'error', code: 'InternalError' }),
  'slow down': () => ({ fault: 'error', code: 'SlowDown' }),
  'service unavailable': () => ({ fault: 'error', code: 'ServiceUnavailable' }),
  'request timeout': () => ({ fault: 'error', code: 'RequestTimeout' }),
  'reset before': () => ({ fault: 'reset-before' }),
  'reset after': () => ({ fault: 'reset-after' }),
  'lost response': () => ({ fault: 'lost-response' }),
  truncate: (random) => ({ fault: 'truncate', bytes: random.below(3000) }),
  corrupt: (random) => ({ fault: 'corrupt', offset: random.below(3000) }),
  stall: (random) => ({ fault: 'stall', ms: 1 + random.below(1500) }),
  slow: () => ({ fault: 'slow', bytesPerSecond: 8 * mib }),
} satisfies Record<string, (random: DeterministicRandom) => Fault>;

type FaultKind = keyof typeof faults;

/** Rules for so many of a hundred requests, at random; one of the first is always among them. */
function rulesFor(kind: FaultKind, percent: number, random: DeterministicRandom): readonly FaultRule[] {
  const make = faults[kind];
  const first = random.below(12);
  const due = Array.from({ length: requestsOfACase }, (_, at) => at).filter(
    (at) => random.below(100) < percent || at === first,
  );
  // A rule does not count the requests that met the fault of a rule before it.
  return due.map((at, before) => ({ ...make(random), skip: at - before, next: 1 }) as FaultRule);
}

/** Runs the stages under faults; where one fails, all of them without faults, and the faults come back. */
async function backUp(
  { world, percent, setFaults, endFaults, failures }: Case,
  ...args: readonly string[]
): Promise<void> {
  for (const script of stages) {
    const what = `${script} at ${percent} %`;
    const result = await world.run(script, ...(script === 'snapshot.ts' ? args : []));
    if (result.exitCode === 0) continue;
    assertClearFailure(result, what);
    failures.push(what);
    endFaults();
    await mustSucceed(world, 'snapshot.ts', ...args);
    for (const later of stages.slice(1)) await mustSucceed(world, later);
    setFaults();
    return;
  }
}

interface Case {
  readonly world: World;
  readonly percent: number;
  readonly setFaults: () => void;
  readonly endFaults: () => void;
  readonly failures: string[];
}

async function sweep(t: TestContext, kind: FaultKind): Promise<void> {
  const random = seededRandom(t, kind);
  const world = await createWorld(t, { RETRY_FOR: '20s' });
  await seedData(world.data, { seed: 1, files: 100, totalBytes: 36 * mib });
  let fired = 0;
  const endFaults = () => {
    fired += world.server.faults.list().reduce((sum, status) => sum + status.fired, 0);
    world.server.faults.clear();
  };
  for (const [round, percent] of [1, 10, 30].entries()) {
    const failures: string[] = [];
    const setFaults = () => world.server.faults.set(rulesFor(kind, percent, random));
    const current = { world, percent, setFaults, endFaults, failures };
    const before = world.server.requests.length;
    setFaults();
    await backUp(current, '--kind', 'full');
    await mutateData(world.data, { seed: 1, round: round + 1 });
    await backUp(current);

    const target = join(world.mount, `restored-${percent}`);
    const restored = await restoreElsewhere(world, target);
    endFaults();
    if (restored.exitCode !== 0) {
      assertClearFailure(restored, `restore.ts at ${percent} %`);
      failures.push(`restore.ts at ${percent} %`);
      const again = await restoreElsewhere(world, target);
      assert.equal(again.exitCode, 0, again.stderr);
    }
    assert.deepEqual(await treeDigest(target), await treeDigest(world.data), `at ${percent} %`);
    await mustSucceed(world, 'verify.ts', '--deep');
    await shell`btrfs subvolume delete ${target}`;
    const requests = world.server.requests.length - before;
    t.diagnostic(
      `${kind}, ${percent} %: ${requests} requests, ${fired} faults, failed: ${failures.join(', ') || 'nothing'}`,
    );
    assert.ok(fired > 0, 'there was a fault');
    fired = 0;
  }
}

/**
 * Makes a test for each of these kinds. They are spread over several files, because a file may not take longer than one test.
 */
export function sweepFaults(kinds: readonly FaultKind[]): void {
  for (const kind of kinds) {
    test(`no success is a wrong one, and a failure can be repeated: ${kind}`, (t) => sweep(t, kind));
  }
}
