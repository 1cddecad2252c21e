import { test } from 'node:test';
import { testHistories } from '../support/history/history-test.ts';

test('what was published in a short random history restores as it was', (t) =>
  testHistories(t, { seed: 1, histories: 3, seconds: 10 }));
