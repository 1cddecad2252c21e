/** Ten points in time, each of which comes back bit for bit; one that cannot says why, and which others can. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { backUpAt } from '../end-to-end/back-up-at.ts';
import { allKeys, createWorld, errorLines, mustSucceed, namesIn, type World } from '../end-to-end/world.ts';

const points = 10;
/** A second chain begins here. */
const secondFull = 7;
const day = 86_400_000;

/** When a backup is of: a day after the one before. */
function timeOf(point: number): string {
  return new Date(Date.UTC(2026, 0, 1) + point * day).toISOString().replace('.000', '');
}

/** Changes the data and backs it up, point after point. Gives what it was at each. */
async function backUpPoints(world: World): Promise<readonly string[]> {
  const digests: string[] = [];
  for (let point = 0; point < points; point++) {
    await writeFile(join(world.data, `file-${point}`), randomBytes(20_000));
    await writeFile(join(world.data, 'changed'), `${point}\n`);
    if (point > 1) await rm(join(world.data, `file-${point - 2}`));
    await backUpAt(world, Date.parse(timeOf(point)), { kind: point === secondFull ? 'full' : 'auto' });
    digests.push(JSON.stringify(await treeDigest(world.data)));
  }
  return digests;
}

test('each of ten points in time is restored bit for bit, and a broken one names its object and the points that are whole', async (t) => {
  const world = await createWorld(t);
  const digests = await backUpPoints(world);
  const target = join(world.mount, 'restored');
  const restore = ['--subvolume', 'data', '--target', target, '--at'];
  assert.equal(new Set(digests).size, points, 'no two points are the same');
  for (const [point, digest] of digests.entries()) {
    // Any time before the next backup means this one.
    const at = point % 2 ? timeOf(point) : timeOf(point + 0.5);
    await mustSucceed(world, 'restore.ts', ...restore, at);
    assert.equal(JSON.stringify(await treeDigest(target)), digest, at);
    await shell`btrfs subvolume delete ${target}`;
  }

  const broken = 4;
  const stamp = timeOf(broken).replaceAll(/[-:]/g, '');
  const chunk =
    (await allKeys(world)).find((key) => key.includes(`chunk-${stamp}`)) ?? assert.fail('no chunk');
  await world.client.send(new DeleteObjectCommand({ Bucket: 'backups', Key: chunk }));
  const whole = [9, 8, 7, 3, 2, 1, 0].map((point) => `AT=${timeOf(point)}`).join(', ');
  for (const point of [broken, secondFull - 1]) {
    const { exitCode, stderr } = await world.run('restore.ts', ...restore, timeOf(point));
    assert.equal(exitCode, 4, stderr);
    const lines = errorLines({ exitCode, stderr, stdout: '' });
    assert.deepEqual(lines, [
      `chunk ${chunk} is missing; make verify shows all that is affected; these can be restored: ${whole}`,
    ]);
    assert.deepEqual(await namesIn(world.mount), ['data', 'snapshots']);
  }
  for (const point of [broken - 1, secondFull]) {
    await mustSucceed(world, 'restore.ts', ...restore, timeOf(point));
    assert.equal(JSON.stringify(await treeDigest(target)), digests[point]);
    await shell`btrfs subvolume delete ${target}`;
  }
});
