import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TaskGate } from '../../lib/transfer/task-gate.ts';

/** A task that ends when it is told to. */
function openTask() {
  let [end, fail]: [() => void, (error: Error) => void] = [() => undefined, () => undefined];
  const done = new Promise<void>((resolve, reject) => {
    [end, fail] = [resolve, reject];
  });
  return { run: () => done, end: () => end(), fail: (error: Error) => fail(error) };
}

const unexpected = (error: unknown) => assert.fail(String(error));

const tick = () => new Promise((resolve) => setImmediate(resolve));

test('never more tasks run than the limit, and all of them do', async () => {
  const tasks = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 5 }), tasks, async (limit, ticks) => {
      const gate = new TaskGate(limit, unexpected);
      let [running, most, ended] = [0, 0, 0];
      for (const count of ticks) {
        await gate.start(async () => {
          most = Math.max(most, ++running);
          for (let waited = 0; waited < count; waited++) await tick();
          running--;
          ended++;
        });
      }
      await gate.idle();
      assert.ok(most <= limit);
      assert.equal(ended, ticks.length);
    }),
    { numRuns: 40 },
  );
});

test('the feeder waits for room, and goes on with the first task that ends', async () => {
  const gate = new TaskGate(2, unexpected);
  const [first, second] = [openTask(), openTask()];
  await gate.start(first.run);
  await gate.start(second.run);
  let begun = false;
  const third = gate.start(async () => {
    begun = true;
  });
  await tick();
  assert.equal(begun, false);
  second.end();
  await third;
  assert.equal(begun, true);
  first.end();
  await gate.idle();
});

test('the first failure is the first that is reported, and room is made by failures too', async () => {
  const reported: unknown[] = [];
  const gate = new TaskGate(2, (error) => reported.push(error));
  const [first, second] = [openTask(), openTask()];
  const started = [await gate.start(first.run), await gate.start(second.run)];
  const third = gate.start(async () => {
    throw new Error('third');
  });
  second.fail(new Error('second'));
  await third;
  first.fail(new Error('first'));
  await gate.idle();
  assert.equal((reported[0] as Error).message, 'second');
  assert.equal(reported.length, 3);
  await assert.rejects(started[0]?.done ?? Promise.resolve(), /first/);
});

test('a failure that nobody but the gate sees is no unhandled rejection', async () => {
  const gate = new TaskGate(1, () => undefined);
  await gate.start(async () => {
    throw new Error('seen by the gate');
  });
  await gate.idle();
  await tick();
});

test('idle waits until every task has ended, however it ends', async () => {
  const gate = new TaskGate(3, () => undefined);
  const tasks = [openTask(), openTask()];
  for (const { run } of tasks) await gate.start(run);
  let idle = false;
  const waiting = gate.idle().then(() => {
    idle = true;
  });
  tasks[0]?.fail(new Error('x'));
  await tick();
  assert.equal(idle, false);
  tasks[1]?.end();
  await waiting;
});
