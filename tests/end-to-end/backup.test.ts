/** scripts/backup.ts: the three stages in one process. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { shell } from '../../testing/harness/processes/shell.ts';
import { startScript, whileRunning } from './running-script.ts';
import { allKeys, createWorld, errorLines, namesIn, pointerKey, readObject } from './world.ts';

test('one subvolume that fails does not stop the others; the result is one document, and the exit code says so', async (t) => {
  const world = await createWorld(t, {}, 512 * 2 ** 20);
  await writeFile(join(world.data, 'a'), 'a');
  const home = join(world.mount, 'home');
  await shell`btrfs subvolume create ${home}`;
  const config = await world.settingsFile({ SUBVOLUMES: `none=${world.mount}/none,${world.data},${home}` });
  const { exitCode, stdout, stderr } = await world.run('backup.ts', '--config', config, '--json');
  assert.equal(exitCode, 1, stderr);
  assert.match(errorLines({ exitCode, stdout, stderr }).join('\n'), /^none: cannot use .*\/none/);
  const { subvolumes, dry_run, failed } = JSON.parse(stdout);
  assert.deepEqual([dry_run, failed], [false, ['none']]);
  const told = subvolumes.map((each: Record<string, unknown>) => [each.name, each.kind, each.published]);
  assert.deepEqual(told, [
    ['data', 'full', true],
    ['home', 'full', true],
  ]);
  assert.equal(JSON.parse(await readObject(world, pointerKey)).manifest_key, subvolumes[0].manifest_key);

  const estimated = await world.run('estimate.ts', '--config', config, '--json');
  assert.equal(estimated.exitCode, 1);
  assert.deepEqual(JSON.parse(estimated.stdout).failed, ['none']);

  const keys = await allKeys(world);
  const dry = await world.run('backup.ts', '--dry-run');
  assert.equal(dry.exitCode, 0, dry.stderr);
  assert.match(
    dry.stdout,
    /^data: incremental: on the full of .*\n {2}size: about [\d.]+ \S+, 1 chunk, 1 part\n {2}to: s3:\/\/backups\/fleet\/host-1\/, STANDARD\n {2}time: not known before the first large backup; name a rate: RATE=20Mbit\n {2}price: not known for this region and class; name a file with PRICES=\nmemory: up to .*\ndry run: no snapshot was taken, and nothing is uploaded$/m,
  );
  assert.deepEqual(await allKeys(world), keys);
  assert.equal((await namesIn(world.snapshots)).length, 2);
});

test('a backup that is stopped while it uploads publishes nothing, and the next one continues with it', async (t) => {
  const world = await createWorld(t, {}, 512 * 2 ** 20);
  await writeFile(join(world.data, 'a'), randomBytes(24 * 2 ** 20));
  const config = await world.settingsFile();
  world.server.faults.set([{ fault: 'stall', operation: 'UploadPart' }]);
  const running = startScript(world, config, 'backup.ts');
  const isUploading = () => world.server.requests.some(({ operation }) => operation === 'UploadPart');
  await whileRunning(running, 'a part is sent', isUploading);
  running.child.kill('SIGTERM');
  const { exitCode, stderr } = await running.ended;
  assert.equal(exitCode, 143, stderr);
  assert.ok(!(await allKeys(world)).includes(pointerKey));
  world.server.faults.clear();
  const next = await world.run('backup.ts');
  assert.equal(next.exitCode, 0, next.stderr);
  assert.match(next.stdout, /resuming unfinished data__/);
  assert.equal((await namesIn(world.snapshots)).length, 1);
});
