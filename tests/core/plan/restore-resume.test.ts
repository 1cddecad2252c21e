import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RestoreFile } from '../../../lib/core/format/restore-file.ts';
import { resumePoint } from '../../../lib/core/plan/restore-resume.ts';
import { keyOfDay, uuidOf } from '../samples.ts';

const links = (...days: readonly number[]) =>
  days.map((day) => ({ manifest_key: keyOfDay(day), bytes_digest: `of ${day}` }));

/** A restore of the chain of days 1 to 5 that has received so many. */
function left(received: number): RestoreFile {
  return {
    version: 1,
    target: '/mnt/restored',
    subvolume: 'data',
    bucket: 'backups/host',
    server: 'AWS eu-central-1',
    started_at: '2026-01-06T00:00:00.000Z',
    chain: links(1, 2, 3, 4, 5),
    received:
      received === 0
        ? null
        : {
            manifest_key: keyOfDay(received),
            name: 'a',
            own_uuid: uuidOf(50),
            received_as: uuidOf(51),
            transid: 9,
            head: { uuid: uuidOf(received), transid: 7, version: 2, parent: null },
            root_attributes: {},
            stray_directories: [],
          },
    kept_parts: null,
    continued: null,
    target_uuid: null,
  };
}

test('the same chain goes on behind what was received, a longer or a shorter one too', () => {
  assert.deepEqual(resumePoint(left(3), 'data', links(1, 2, 3, 4, 5)), { from: 3 });
  assert.deepEqual(resumePoint(left(3), 'data', links(1, 2, 3, 4, 5, 6)), { from: 3 });
  assert.deepEqual(resumePoint(left(3), 'data', links(1, 2, 3)), { from: 3 });
  assert.deepEqual(resumePoint(left(5), 'data', links(1, 2, 3, 4, 5)), { from: 5 });
});

test('kept parts are of the first stream where none was received', () => {
  assert.deepEqual(resumePoint(left(0), 'data', links(1, 2)), { from: 0 });
  const other = resumePoint(left(0), 'data', links(7, 8));
  assert.match('refused' in other ? other.refused : '', /has left parts of \S+manifest-20260101/);
});

const others: readonly [what: string, subvolume: string, chain: ReturnType<typeof links>][] = [
  ['an earlier point', 'data', links(1, 2)],
  ['another chain', 'data', links(7, 8, 9)],
  ['a fork before it', 'data', links(1, 2, 6)],
  ['another subvolume', 'home', links(1, 2, 3, 4, 5)],
  [
    'a backup that was replaced under the same key',
    'data',
    links(1, 2, 3, 4).map((link, index) => (index === 1 ? { ...link, bytes_digest: 'other' } : link)),
  ],
];
for (const [what, subvolume, chain] of others) {
  test(`what was received is not used for ${what}`, () => {
    const point = resumePoint(left(3), subvolume, chain);
    assert.match('refused' in point ? point.refused : '', /has left 3 streams of data up to \S+20260103/);
  });
}
