/** Backups of `btrfs_to_s3`, the Python tool: listed, verified and restored, by this tool and by recover.sh. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { recoverScript } from '../../lib/core/recovery/recover-script.ts';
import { recoveryPlaceOf } from '../../lib/edge/s3/s3-client.ts';
import { listBackups } from '../../lib/stage/bucket/list.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { standInAws } from '../support/aws-standin.ts';
import { pythonBackups, type TakenSnapshot } from '../support/python-layout.ts';
import { template } from '../support/recover-bucket.ts';
import { bareHost } from '../support/recover-sh.ts';
import { refusal, smallWorld } from './small-world.ts';
import { hostIn } from './within-process.ts';
import { damageStoredBytes, namesIn, writeObject } from './world.ts';

const prefix = 'fleet/host-1';
const mib = 2 ** 20;

test('backups of the Python tool are listed, verified and restored, also by recover.sh', async (t) => {
  const world = await smallWorld(t);
  const taken: TakenSnapshot[] = [];
  for (const [index, createdAt] of ['20260101T000000Z', '20260108T000000Z', '20260115T000000Z'].entries()) {
    await writeFile(join(world.data, `random-${index}`), randomBytes(index === 0 ? 12 * mib : 1000));
    const name = `data__${createdAt}__${index === 0 ? 'full' : 'inc'}`;
    const path = join(world.snapshots, name);
    await shell`btrfs subvolume snapshot -r ${world.data} ${path}`;
    taken.push({ path, name, createdAt });
  }
  const places = { directory: world.directory, chunkBytes: 5 * mib };
  const objects = await pythonBackups(prefix, 'data', taken, places);
  for (const [key, bytes] of objects) await writeObject(world, key, bytes);
  const trees = await Promise.all(taken.map(({ path }) => treeDigest(path)));

  const host = await hostIn(world);
  const listed = await listBackups(host.context, 'data');
  assert.deepEqual(
    listed.map((backup) => [objects.has(backup.manifest_key), 'thaw' in backup.restorability]),
    taken.map(() => [true, true]),
  );
  const verified = await host.verify(true);
  assert.deepEqual([verified.manifests, verified.findings], [3, []]);

  // On the filesystem of the sources, and without them.
  const target = join(world.mount, 'restored');
  await host.restore(target);
  assert.deepEqual(await treeDigest(target), trees[2]);
  await shell`btrfs subvolume delete ${target} ${taken.map(({ path }) => path)}`;

  const copy = standInAws(join(world.directory, 'copy'));
  for (const [key, bytes] of objects) copy.put(key, bytes);
  const script = recoverScript(template, recoveryPlaceOf(host.context.bucket));
  const bare = await bareHost(world.directory, script, {}, join(copy.bin, 'aws'));
  const [large = ''] = [...objects.keys()].filter((key) => key.endsWith('-1.bin'));
  const wrong = Buffer.from(objects.get(large) ?? []);
  wrong[1000] = (wrong[1000] ?? 0) ^ 1;
  for (const spool of [[], ['--no-spool']]) {
    copy.put(large, wrong);
    const damaged = await bare.recover('restore', 'data', target, ...spool);
    assert.equal(damaged.exitCode, 4);
    assert.match(
      damaged.stderr,
      /chunk-20260101T000000Z-1\.bin is damaged: its SHA-256 is not that of the manifest\n$/,
    );
    assert.deepEqual(await namesIn(join(world.mount, '.recover-restored/chain')), []);
    copy.put(large, objects.get(large) ?? '');
    const restored = await bare.recover('restore', 'data', target, ...spool);
    assert.equal(restored.exitCode, 0, restored.stderr);
    assert.deepEqual(await treeDigest(target), trees[2]);
    await shell`btrfs subvolume delete ${target}`;
  }

  await damageStoredBytes(world, objects.get(large) ?? Buffer.alloc(0), 1000);
  const found = await host.verify(true);
  const incremental = [...objects.keys()].filter((key) => /incremental\/manifest-/.test(key));
  assert.deepEqual(
    found.findings.map(({ object }) => object),
    [large, ...incremental],
  );
});

test('where btrfs send was suspended, and the Python tool stored what came of that, verify and restore say so', async (t) => {
  const world = await smallWorld(t);
  await writeFile(join(world.data, 'random'), randomBytes(mib));
  const [createdAt, name] = ['20260101T000000Z', 'data__20260101T000000Z__full'];
  const path = join(world.snapshots, name);
  await shell`btrfs subvolume snapshot -r ${world.data} ${path}`;
  const places = { directory: world.directory, chunkBytes: 5 * mib };
  const restarted = (stream: Buffer) =>
    Buffer.concat([stream.subarray(0, Math.floor(stream.length / 2)), stream]);
  const objects = await pythonBackups(prefix, 'data', [{ path, name, createdAt }], places, restarted);
  for (const [key, bytes] of objects) await writeObject(world, key, bytes);

  const host = await hostIn(world);
  const { findings } = await host.verify(true);
  const begunAgain = /btrfs send was stopped in the middle of it, and began again/;
  assert.deepEqual(
    [findings.length, begunAgain.test(findings[0]?.problem ?? '')],
    [1, true],
    JSON.stringify(findings),
  );
  const refused = await refusal(host.restore(join(world.mount, 'restored')));
  assert.deepEqual([refused.kind, begunAgain.test(refused.message)], ['damage', true], refused.message);
});
