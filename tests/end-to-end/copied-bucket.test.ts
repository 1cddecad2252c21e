/** In a copy of the bucket chunks have other ETags and no checksums. What has read their bytes once need not be asked again. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { listBackups } from '../../lib/stage/bucket/list.ts';
import { planPrunes, problemsOf } from '../../lib/stage/bucket/prune.ts';
import { smallWorld, write } from './small-world.ts';
import { type Host, hostIn } from './within-process.ts';
import { readBytes, writeObject } from './world.ts';

/** What each thinks of the last backup. */
async function opinions(host: Host) {
  const backups = await listBackups(host.context);
  const plan = await host.plan('auto', false, true);
  return {
    isSound: (await host.verify()).findings.length === 0,
    unsure: backups.filter(({ restorability }) => 'doubt' in restorability && restorability.doubt).length,
    next: 'kind' in plan && plan.kind,
    prune: problemsOf(await planPrunes(host.context), undefined)?.kind,
  };
}

test('after verify DEEP=1 nothing is in doubt any more, until a chunk is replaced', async (t) => {
  const world = await smallWorld(t);
  const host = await hostIn(world);
  await writeFile(join(world.data, 'random'), randomBytes(20 * 2 ** 20));
  const { manifest } = await host.backUp();
  // In one piece each, where they were stored in parts.
  for (const { key } of manifest.chunks) await writeObject(world, key, await readBytes(world, key));
  const doubts = { isSound: false, unsure: 1, next: 'full', prune: 'damage' };
  const none = { isSound: true, unsure: 0, next: 'incremental', prune: undefined };
  assert.deepEqual(await opinions(host), doubts);
  assert.deepEqual((await host.verify(true)).findings, []);
  assert.deepEqual(await opinions(host), none);
  await write(world, 'more');
  assert.equal((await host.backUp()).manifest.kind, 'incremental');

  const [first] = manifest.chunks;
  assert.ok(first, 'there is a chunk');
  const other = await readBytes(world, first.key);
  other.writeUInt8(other.readUInt8(0) ^ 1, 0);
  await writeObject(world, first.key, other);
  assert.deepEqual(await opinions(host), { ...doubts, unsure: 2 });
  assert.ok((await host.verify(true)).findings.length > 0);
  assert.equal((await opinions(host)).next, 'full');
});
