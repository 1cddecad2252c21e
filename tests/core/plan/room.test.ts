import assert from 'node:assert/strict';
import { test } from 'node:test';
import { roomNeeded } from '../../../lib/core/plan/room.ts';

const cases: readonly [what: string, bytes: number[], isBegun: boolean, atLeast: number, atMost: number][] = [
  ['a full backup needs its own bytes', [100], false, 100, 100],
  ['an image that is rewritten five times needs it twice at once', Array(6).fill(150), false, 300, 900],
  ['small increments need little beside the full one', [100, 1, 2, 1], false, 101, 104],
  ['two large increments in a row decide', [10, 80, 90, 1], false, 170, 181],
  ['with a predecessor in place only the next step is certain', [80, 90], true, 80, 170],
  ['nothing is left to receive', [], true, 0, 0],
];
for (const [what, bytes, isBegun, atLeast, atMost] of cases) {
  test(what, () => assert.deepEqual(roomNeeded(bytes, isBegun), { atLeast, atMost }));
}
