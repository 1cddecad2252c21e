import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SnapshotFile } from '../../../../lib/core/format/run-files.ts';
import { GIB, MIB } from '../../../../lib/core/units.ts';
import { StreamExpectation } from '../../../../lib/stage/backup/upload/stream-expectation.ts';

function expecting(bytes: number | undefined, parent: object | null) {
  const warnings: string[] = [];
  const log = { debug: () => undefined, info: () => undefined, warn: (line: string) => warnings.push(line) };
  const file = { subvolume: 'data', parent } as unknown as SnapshotFile;
  const expectation = new StreamExpectation({ log }, file);
  if (bytes !== undefined) expectation.expect(bytes);
  return { expectation, warnings };
}

test('a stream that is much longer than expected is warned of once, while it runs, with the likely cause', () => {
  const { expectation, warnings } = expecting(GIB, {});
  expectation.compare(1.5 * GIB);
  assert.deepEqual(warnings, []);
  expectation.compare(1.5 * GIB + 64 * MIB);
  expectation.compare(3 * GIB);
  assert.equal(warnings.length, 1);
  assert.match(
    warnings[0] ?? '',
    /^data: the stream is longer than expected: 1\.56 GiB so far, of about 1\.00 GiB; an increment writes holes of sparse files as zeros/,
  );
});

test('small streams, and those of which nothing was expected, are not', () => {
  const small = expecting(1000, null);
  small.expectation.compare(60 * MIB);
  const unknown = expecting(undefined, null);
  unknown.expectation.compare(GIB);
  unknown.expectation.conclude(GIB);
  assert.deepEqual([...small.warnings, ...unknown.warnings], []);
});
