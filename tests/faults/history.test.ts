/** Random histories of subvolumes, snapshots and backups; tests/support/history/history-test.ts says what the environment can ask for. */
import { test } from 'node:test';
import { testHistories } from '../support/history/history-test.ts';

test('whatever was published restores as it was, whatever people do to subvolumes and snapshots', (t) =>
  testHistories(t, { seed: 1, histories: 100, seconds: 600 }));
