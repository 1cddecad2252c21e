import assert from 'node:assert/strict';
import { test } from 'node:test';
import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { GIB, MIB } from '../../lib/core/units.ts';
import { drawChart } from '../../testing/bench/chart.ts';
import type { Result } from '../../testing/bench/contest.ts';
import { type Comparison, formatComparison } from '../../testing/bench/report.ts';

const result = (name: string, role: Result['role'], seconds: number, cpuSeconds: number): Result => ({
  name,
  role,
  runs: [
    { seconds, cpuSeconds, peakBytes: 100 * MIB, ...(role !== 'limit' && { passingSeconds: seconds / 2 }) },
  ],
});

const comparison: Comparison = {
  set: 'incompressible',
  direction: 'upload',
  streamBytes: 2 * GIB,
  results: [
    result('send <limit> & cat', 'limit', 2, 1),
    result('this tool', 'tool', 4, 4),
    result('another', 'other', 8, 12),
  ],
};

test('the table has the numbers of each line, and how the tool compares to it', () => {
  assert.equal(
    formatComparison(comparison),
    [
      'UPLOAD incompressible, 2.00 GiB  MiB/s  SLOWEST  FASTEST  SPEED  PASSING  CPU-s/GiB  CPU   MEMORY',
      'send <limit> & cat                1024     1024     1024   0.50                0.50  4.00  100 MiB',
      'this tool                          512      512      512   1.00     1024       2.00  1.00  100 MiB',
      'another                            256      256      256   2.00      512       6.00  0.33  100 MiB',
    ].join('\n'),
  );
});

test('a comparison without the tool is none', () => {
  const results = comparison.results.filter(({ role }) => role !== 'tool');
  assert.throws(() => formatComparison({ ...comparison, results }), /tool is not among/);
});

test('the chart is an SVG with a bar for each candidate, as long as it is fast', () => {
  const svg = drawChart([comparison, { ...comparison, direction: 'restore' }], 'a & b');
  assert.equal(XMLValidator.validate(svg), true);
  const parsed = new XMLParser({ ignoreAttributes: false, processEntities: true }).parse(svg);
  const widths = parsed.svg.rect.map((bar: Record<string, string>) => Number(bar['@_width']));
  assert.equal(widths.length, 6);
  assert.deepEqual(
    widths.map((bar: number) => bar / widths[0]),
    [1, 0.5, 0.25, 1, 0.5, 0.25],
  );
  const words = parsed.svg.text.map((text: Record<string, string>) => text['#text']);
  for (const word of ['send <limit> & cat', 'upload of incompressible, a stream of 2.00 GiB', 'a & b']) {
    assert.ok(words.includes(word), word);
  }
  const tallest = Math.max(...parsed.svg.rect.map((bar: Record<string, string>) => Number(bar['@_y'])));
  assert.ok(tallest < Number(parsed.svg['@_height']), 'every bar is within the picture');
});
