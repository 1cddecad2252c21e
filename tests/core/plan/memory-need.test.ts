import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  codecProgramBytes,
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
  assert.equal(memoryNeedBytes(defaults), 440 * MIB);
  assert.equal(programBytes(24), 145 * MIB);
  assert.equal(leastMemory(program), '130 MiB');
});

test('with a codec parts are held twice, and its programs take their share', () => {
  const codec = codecProgramBytes(3, true);
  const bytes = memoryNeedBytes({ ...defaults, codec });
  assert.ok(
    bytes >= (2 * 5 * 64 + 4 * 18 + 120) * MIB && bytes < (2 * 5 * 66 + 4 * 18 + 120) * MIB,
    `${bytes}`,
  );
  assert.ok(codecProgramBytes(19, false) >= 95 * MIB);
  assert.equal(memoryNeedBytes({ ...defaults, codec: 0 }) > memoryNeedBytes(defaults), true);
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
    codec: fc.option(fc.integer({ min: 0, max: 100 * MIB }), { nil: undefined }),
  });
  fc.assert(
    fc.property(sizes, ({ limit, chunk, part, concurrency, codec }) => {
      const partSizeBytes = Math.max(part * MIB, Math.ceil(chunk / 10_000 / MIB) * MIB);
      if (partSizeBytes > 5 * GIB || partSizeBytes > chunk) return;
      for (const advice of fittingUploads(limit, chunk, { concurrency, partSizeBytes, program, codec })) {
        const before = [`CHUNK_SIZE=${chunk}`, `PART_SIZE=${partSizeBytes}`, `CONCURRENCY=${concurrency}`];
        const keys = advice.split(' ').map((setting) => setting.split('=')[0]);
        const kept = before.filter((setting) => !keys.includes(setting.split('=')[0]));
        const { values, problems } = resolve([...kept, ...advice.split(' ')].join('\n'));
        assert.deepEqual(problems, [], advice);
        const layout = chooseLayout(values.CHUNK_SIZE, values.PART_SIZE);
        const sizes = {
          concurrency: values.CONCURRENCY,
          partSizeBytes: layout.partSizeBytes,
          program,
          codec,
        };
        assert.ok(memoryNeedBytes(sizes) <= limit, advice);
      }
      const fewer = fittingConcurrency(limit, { concurrency, partSizeBytes, program, codec });
      if (!fewer) return;
      const sizes = { concurrency: Number(fewer.split('=')[1]), partSizeBytes, program, codec };
      assert.ok(memoryNeedBytes(sizes) <= limit);
    }),
  );
});
