import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  fittingConcurrency,
  fittingUploads,
  leastMemory,
  memoryNeedBytes,
  programBytes,
} from '../../../lib/core/plan/memory-need.ts';
import { chooseLayout } from '../../../lib/core/stream/part-sizes.ts';
import { GIB, MIB } from '../../../lib/core/units.ts';
import { resolve } from '../settings/resolve.ts';

const program = programBytes(20);
const defaults = { concurrency: 4, partSizeBytes: 64 * MIB, program };

test('the defaults take what is promised', () => {
  assert.equal(memoryNeedBytes(4, 64 * MIB, program), 440 * MIB);
  assert.equal(programBytes(24), 145 * MIB);
  assert.equal(leastMemory(program), '130 MiB');
});

for (const [limitMib, expected] of [
  [439, ['CONCURRENCY=3', 'PART_SIZE=63MiB']],
  [300, ['CONCURRENCY=1', 'PART_SIZE=36MiB']],
  [230, ['PART_SIZE=22MiB']],
  [200, ['PART_SIZE=26MiB CONCURRENCY=2']],
  [140, ['CHUNK_SIZE=100000MiB PART_SIZE=10MiB CONCURRENCY=1']],
  [129, []],
] as const) {
  test(`in ${limitMib} MiB ${expected.length > 0 ? `fits ${expected.join(' or ')}` : 'nothing fits'}`, () => {
    assert.deepEqual(fittingUploads(limitMib * MIB, 200 * GIB, defaults), expected);
  });
}

test('whatever is advised are good settings, and fits', () => {
  const sizes = fc.record({
    limit: fc.integer({ min: 0, max: 2 ** 33 }),
    chunk: fc.integer({ min: 5 * MIB, max: 5 * 2 ** 40 }),
    part: fc.integer({ min: 5, max: 5000 }),
    concurrency: fc.integer({ min: 1, max: 64 }),
  });
  fc.assert(
    fc.property(sizes, ({ limit, chunk, part, concurrency }) => {
      const partSizeBytes = Math.max(part * MIB, Math.ceil(chunk / 10_000 / MIB) * MIB);
      if (partSizeBytes > 5 * GIB || partSizeBytes > chunk) return;
      for (const advice of fittingUploads(limit, chunk, { concurrency, partSizeBytes, program })) {
        const before = [`CHUNK_SIZE=${chunk}`, `PART_SIZE=${partSizeBytes}`, `CONCURRENCY=${concurrency}`];
        const keys = advice.split(' ').map((setting) => setting.split('=')[0]);
        const kept = before.filter((setting) => !keys.includes(setting.split('=')[0]));
        const { values, problems } = resolve([...kept, ...advice.split(' ')].join('\n'));
        assert.deepEqual(problems, [], advice);
        const layout = chooseLayout(values.CHUNK_SIZE, values.PART_SIZE);
        assert.ok(memoryNeedBytes(values.CONCURRENCY, layout.partSizeBytes, program) <= limit, advice);
      }
      const fewer = fittingConcurrency(limit, { concurrency, partSizeBytes, program });
      if (fewer) assert.ok(memoryNeedBytes(Number(fewer.split('=')[1]), partSizeBytes, program) <= limit);
    }),
  );
});
