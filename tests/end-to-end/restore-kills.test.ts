/** A few kills of a restore, with fixed choices; `tests/faults` has many. */
import { test } from 'node:test';
import { MIB } from '../../lib/core/units.ts';
import { deterministicRandom } from '../../testing/harness/deterministic-random.ts';
import { killRestores } from './killing-restores.ts';

test('a restore that is killed continues with the part that was under way, and ends bit for bit equal', (t) =>
  killRestores(t, {
    kills: 5,
    random: deterministicRandom('a few kills'),
    spools: true,
    continues: true,
    bytes: 8 * MIB,
  }));
