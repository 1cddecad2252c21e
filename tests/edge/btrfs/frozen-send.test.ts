/** What reads the metadata of snapshots is not misled where `btrfs send` is stopped meanwhile, and begins its stream again. */
import assert from 'node:assert/strict';
import { mkdtemp, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { whyNotIncremental } from '../../../lib/edge/btrfs/compare-inodes.ts';
import { measureStream } from '../../../lib/edge/btrfs/measure-stream.ts';
import { withFakeBtrfs } from '../../support/fake-btrfs.ts';
import { btrfs, loopBtrfs } from '../../support/loop-btrfs.ts';

const mount = await loopBtrfs('frozen-send');
const { signal } = new AbortController();
const at = (name: string) => join(mount, name);

btrfs('subvolume', 'create', at('data'));
for (let number = 0; number < 50; number++) await writeFile(at(`data/${number}`), 'content');
btrfs('subvolume', 'snapshot', '-r', at('data'), at('parent'));
await writeFile(at('data/new'), 'content');
btrfs('subvolume', 'snapshot', '-r', at('data'), at('source'));

/** As `btrfs send` is the first time that it is run for a snapshot: most of the stream, then all of it. */
const restarting = (marks: string) => `
  PATH=\${PATH#*:}
  mark=${marks}/$(basename "\${@: -1}")
  mkdir "$mark" 2> /dev/null || exec btrfs "$@"
  btrfs "$@" > "$mark/stream"
  head --bytes=-100 "$mark/stream"
  exec cat "$mark/stream"`;

for (const [what, look] of [
  [
    'the length of a stream',
    () => measureStream({ snapshotPath: at('source'), parentPath: undefined, compressedData: false }, signal),
  ],
  ['whether an increment would be right', () => whyNotIncremental(at('parent'), at('source'), signal)],
] as const) {
  test(`where the stream begins again, it is read once more: ${what}`, async () => {
    const expected = await look();
    const marks = await mkdtemp(at('marks-'));
    assert.deepEqual(await withFakeBtrfs<unknown>(marks, restarting(marks), look), expected);
    assert.ok((await stat(join(marks, 'source/stream'))).size > 1000, 'it was restarted');
  });
}
