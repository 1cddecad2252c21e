/** SIGKILL at random moments of a restore; `KILLS=10` kills less often than the 40 of each of these. */
import { test } from 'node:test';
import { MIB } from '../../lib/core/units.ts';
import { killRestores } from '../end-to-end/killing-restores.ts';
import { numberOf, seededRandom } from './sweep.ts';

const cases = [
  ['goes on with the stream that was under way', { spools: false }],
  ['with SPOOL_DIR goes on with the part that was under way', { spools: true, continues: true }],
  ['goes on where one request in ten fails', { spools: false, hasFaults: true }],
  ['with SPOOL_DIR goes on where one request in ten fails', { spools: true, hasFaults: true }],
] as const;
for (const [what, how] of cases) {
  test(`a restore that is killed ${what}, and ends bit for bit equal`, (t) =>
    killRestores(t, {
      kills: numberOf('KILLS', 40),
      random: seededRandom(t, what),
      bytes: 16 * MIB,
      ...how,
    }));
}
