/** Real streams of snapshots that share a received UUID, as earlier versions published them: with labels of our own they are received right. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { RootAttributes } from '../../../lib/core/stream/rewrite/root-attributes.ts';
import { StreamInspector } from '../../../lib/core/stream/stream-inspector.ts';
import { readMtime } from '../../../lib/edge/btrfs/btrfs.ts';
import { openReceiveStream } from '../../../lib/transfer/back/receive-stream.ts';
import { treeDigest } from '../../../testing/harness/tree-digest.ts';
import { markReceived } from '../../end-to-end/small-world.ts';
import { btrfs, loopBtrfs } from '../../support/loop-btrfs.ts';

const mount = await loopBtrfs('relabelled');
const elsewhere = await loopBtrfs('relabelled-elsewhere');

test('a chain whose snapshots all have one received UUID is received as it was, clones included', async () => {
  const live = join(mount, 'live');
  btrfs('subvolume', 'create', live);
  await markReceived(live);
  const rootAttributes = new RootAttributes();
  const streams: Buffer[] = [];
  for (const [day, change] of [
    () => writeFileSync(join(live, 'a'), 'a'.repeat(300_000)),
    () => {
      execFileSync('cp', ['--reflink=always', join(live, 'a'), join(live, 'clone-of-parent')]);
      writeFileSync(join(live, 'b'), 'b'.repeat(300_000));
    },
    () => {
      // The parent's own file goes, so that a clone of the wrong snapshot would have nothing to clone.
      execFileSync('cp', ['--reflink=always', join(live, 'b'), join(live, 'clone-of-b')]);
      rmSync(join(live, 'b'));
    },
  ].entries()) {
    change();
    btrfs('subvolume', 'snapshot', '-r', live, join(mount, `s${day}`));
    const parent = day === 0 ? [] : ['-p', join(mount, `s${day - 1}`)];
    const args = ['send', '--quiet', ...parent, join(mount, `s${day}`)];
    streams.push(execFileSync('btrfs', args, { maxBuffer: 64 * 2 ** 20 }));
  }
  const staging = join(elsewhere, 'staging');
  mkdirSync(staging);
  const uuid = (day: number) => `aaaaaaaa-0000-4000-8000-00000000000${day}`;
  for (const [day, stream] of streams.entries()) {
    const labels = {
      name: String(day),
      uuid: uuid(day),
      parentUuid: day === 0 ? undefined : uuid(day - 1),
      rootAttributes,
      mtime: await readMtime(join(mount, `s${day}`)),
    };
    const inspector = new StreamInspector({ labels });
    const receive = openReceiveStream(staging);
    for (const piece of inspector.push(stream)) await receive.write(piece);
    const head = inspector.finish();
    if (day > 0) assert.equal(head.parent?.uuid, head.uuid, 'they share their UUID');
    await receive.finish();
    await receive.close();
  }
  for (const day of streams.keys()) {
    assert.deepEqual(await treeDigest(join(staging, String(day))), await treeDigest(join(mount, `s${day}`)));
  }
});

test('a modification time is set to the nanosecond, before 1970 and after 2106 as well', async () => {
  const source = join(mount, 'timed');
  btrfs('subvolume', 'create', source);
  btrfs('subvolume', 'snapshot', '-r', source, join(mount, 'timed-snapshot'));
  const stream = execFileSync('btrfs', ['send', '--quiet', join(mount, 'timed-snapshot')]);
  const times = [
    '0.000000000',
    '1560587415.000000999',
    '-1.500000001',
    '-2.000000000',
    '5696179200.000000001',
  ];
  for (const [index, mtime] of times.entries()) {
    const uuid = `bbbbbbbb-0000-4000-8000-00000000000${index}`;
    const labels = {
      name: `t${index}`,
      uuid,
      parentUuid: undefined,
      rootAttributes: new RootAttributes(),
      mtime,
    };
    const inspector = new StreamInspector({ labels });
    const receive = openReceiveStream(elsewhere);
    for (const piece of inspector.push(stream)) await receive.write(piece);
    await receive.finish();
    await receive.close();
    const received = join(elsewhere, labels.name);
    btrfs('subvolume', 'snapshot', received, `${received}-target`);
    for (const path of [received, `${received}-target`]) assert.equal(await readMtime(path), mtime, path);
  }
});
