import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { shell } from '../../testing/harness/processes/shell.ts';
import {
  createWorld,
  damageStoredBytes,
  errorLines,
  namesIn,
  pointerKey,
  readBytes,
  readObject,
  writeObject,
} from './world.ts';

test('a flipped byte never reaches TARGET, and verify names its chunk', async (t) => {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'random'), randomBytes(20 * 2 ** 20));
  const { manifest, key } = await world.backup();
  const before = await namesIn(world.mount);
  const chunk = manifest.chunks[1];
  assert.ok(chunk);
  const original = await readBytes(world, chunk.key);
  // Chunks below one part are stored in one piece, larger ones part by part: the second chunk's first part.
  await damageStoredBytes(world, original.subarray(0, 5 * 2 ** 20), 1_000_000);

  await t.test('restore exits 4 and leaves nothing', async () => {
    const target = join(world.mount, 'target');
    const result = await world.run('restore.ts', '--subvolume', 'data', '--target', target);
    assert.equal(result.exitCode, 4, result.stderr);
    assert.match(errorLines(result).join(), new RegExp(`${chunk.key} is damaged: part 1`));
    assert.deepEqual(await namesIn(world.mount), before);
    const processes = await shell({ nothrow: true })`pgrep -f ${`btrfs receive.*${world.mount}`}`;
    assert.equal(processes.stdout, '');
  });

  await t.test('verify without DEEP cannot see it, with DEEP it exits 4 and names the chunk', async () => {
    assert.equal((await world.run('verify.ts')).exitCode, 0);
    const deep = await world.run('verify.ts', '--deep', '--json');
    assert.equal(deep.exitCode, 4, deep.stderr);
    const { findings } = JSON.parse(deep.stdout);
    assert.deepEqual(findings, [
      { object: chunk.key, problem: 'is damaged: part 1 is not what was uploaded' },
    ]);
  });

  await t.test(
    'a replaced, a shortened and a missing chunk are seen by plain verify and stop a restore',
    async () => {
      const target = join(world.mount, 'target');
      const other = Buffer.from(original);
      other.writeUInt8(other.readUInt8(0) ^ 1, 0);
      await writeObject(world, chunk.key, other);
      await expectFinding(/ETag|checksum/);
      await writeObject(world, chunk.key, original.subarray(1));
      await expectFinding(/has 8388607 bytes instead of 8388608/);
      assert.equal((await world.run('restore.ts', '--subvolume', 'data', '--target', target)).exitCode, 4);
      await world.client.send(new DeleteObjectCommand({ Bucket: 'backups', Key: chunk.key }));
      await expectFinding(/is missing/);
      assert.equal((await world.run('restore.ts', '--subvolume', 'data', '--target', target)).exitCode, 4);
      assert.deepEqual(await namesIn(world.mount), before);

      async function expectFinding(problem: RegExp): Promise<void> {
        const result = await world.run('verify.ts', '--json');
        assert.equal(result.exitCode, 4, result.stderr);
        const { findings } = JSON.parse(result.stdout);
        assert.equal(findings.length, 1);
        assert.equal(findings[0].object, chunk?.key);
        assert.match(findings[0].problem, problem);
      }
    },
  );

  await t.test('a manifest that was tampered with is refused', async () => {
    const tampered = JSON.parse(await readObject(world, key));
    tampered.chunks[0].key = 'fleet/host-2/subvol/data/full/chunk-20260101T000000Z-00000.bin';
    await writeObject(world, key, JSON.stringify(tampered));
    const result = await world.run(
      'restore.ts',
      '--subvolume',
      'data',
      '--target',
      join(world.mount, 'target'),
    );
    assert.equal(result.exitCode, 4, result.stderr);
    assert.match(errorLines(result).join(), /which is not a chunk of this backup/);
  });
});

test('a pointer with a flipped bit is reported as damage, and the next backup writes a sound one', async (t) => {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'file'), '1');
  await world.backup();

  const pointer = await readBytes(world, pointerKey);
  // A digit of its time: still a pointer in good order, but not the one that was stored.
  await damageStoredBytes(world, pointer, pointer.lastIndexOf('Z') - 1);
  const verified = await world.run('verify.ts');
  assert.equal(verified.exitCode, 4, verified.stderr);
  assert.match(verified.stdout, /current\.json: is damaged: its bytes are not those that were stored/);
  await writeFile(join(world.data, 'file'), '2');
  await world.backup();
  assert.equal((await world.run('verify.ts', '--deep')).exitCode, 0);
});
