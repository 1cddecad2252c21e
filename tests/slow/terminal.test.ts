/** Signals as they come from a terminal, and through make, to whole groups of processes. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  processesAbout,
  start,
  startInTerminal,
  startScript,
  until,
  whileRunning,
} from '../end-to-end/running-script.ts';
import { assertStopped, endOf, storedBytes, worldWithData } from '../end-to-end/stopped-script.ts';
import { mustSucceed, namesIn } from '../end-to-end/world.ts';

const mib = 2 ** 20;

test('Ctrl-C in a terminal reaches the whole group, children too: it is still an orderly end', async (t) => {
  const world = await worldWithData(t);
  const config = await world.settingsFile();
  await mustSucceed(world, 'snapshot.ts');
  const { faults } = world.server;
  faults.set([
    { fault: 'slow', bytesPerSecond: 2 * mib, operation: ['UploadPart', 'PutObject'], key: '*.bin' },
  ]);
  const upload = startScript(world, config, 'send-chunk-upload.ts');
  await whileRunning(upload, 'parts', () => storedBytes(world) > 6 * mib);
  process.kill(-(upload.child.pid ?? assert.fail('no process')), 'SIGINT');
  await assertStopped(world, upload, 'SIGINT');
  faults.clear();
  await world.backup();

  faults.set([{ fault: 'slow', bytesPerSecond: 2 * mib, operation: 'GetObject', key: '*.bin' }]);
  const target = join(world.mount, 'restored');
  const restore = startScript(world, config, 'restore.ts', '--subvolume', 'data', '--target', target);
  await whileRunning(restore, 'btrfs receive', async () => {
    return (await processesAbout(world.mount, 'btrfs receive')).length > 0 && faults.list()[0]?.fired !== 0;
  });
  process.kill(-(restore.child.pid ?? assert.fail('no process')), 'SIGINT');
  await assertStopped(world, restore, 'SIGINT');
  assert.deepEqual(await namesIn(world.mount), ['data', 'snapshots']);
});

test('a terminal that is closed takes nothing to write to with it: the restore still cleans up', async (t) => {
  const world = await worldWithData(t);
  await world.backup();
  const config = await world.settingsFile();
  world.server.faults.set([{ fault: 'slow', bytesPerSecond: 2 * mib, operation: 'GetObject', key: '*.bin' }]);
  const target = join(world.mount, 'restored');
  const command = `exec scripts/tsx.sh scripts/restore.ts --config ${config} --subvolume data --target ${target}`;
  const terminal = startInTerminal(world, command);
  await terminal.drawn();
  await until('btrfs receive', async () => (await processesAbout(world.mount, 'btrfs receive')).length > 0);
  await terminal.close();
  const gone = async () => (await processesAbout(world.mount)).length === 0;
  await until('restore and btrfs receive are gone', gone);
  assert.deepEqual(await namesIn(world.mount), ['data', 'snapshots']);
});

test('nohup make backup goes on when every process of it gets SIGHUP', async (t) => {
  const world = await worldWithData(t);
  const config = await world.settingsFile();
  const { faults } = world.server;
  faults.set([
    { fault: 'slow', bytesPerSecond: 2 * mib, operation: ['UploadPart', 'PutObject'], key: '*.bin' },
  ]);
  const make = start(world, 'nohup', ['make', 'backup', `CONFIG=${config}`]);
  await whileRunning(make, 'parts', () => storedBytes(world) > 6 * mib);
  process.kill(-(make.child.pid ?? assert.fail('no process')), 'SIGHUP');
  faults.clear();
  const { exitCode, stderr } = await make.ended;
  assert.equal(exitCode, 0, stderr);
  await mustSucceed(world, 'verify.ts', '--deep');
});

for (const [who, target] of [
  ['make alone', (pid: number) => pid],
  ['every process of it, as a service manager does', (pid: number) => -pid],
] as const) {
  test(`make backup ends in order when ${who} gets a signal`, async (t) => {
    const world = await worldWithData(t);
    const config = await world.settingsFile();
    const { faults } = world.server;
    faults.set([
      { fault: 'slow', bytesPerSecond: 2 * mib, operation: ['UploadPart', 'PutObject'], key: '*.bin' },
    ]);
    const make = start(world, 'make', ['backup', `CONFIG=${config}`]);
    await whileRunning(make, 'parts', () => storedBytes(world) > 6 * mib);
    process.kill(target(make.child.pid ?? assert.fail('no process')), 'SIGTERM');
    const { stderr } = await endOf(make);
    assert.match(stderr, /stopped by SIGTERM; run the same command again to continue/);
    assert.deepEqual(await processesAbout(world.mount), [], 'no child lives on');
    assert.deepEqual(await processesAbout(config), [], 'no stage lives on');
    faults.clear();
    const { manifest } = await world.backup();
    assert.ok(storedBytes(world) <= manifest.total_bytes + 4 * 5 * mib, 'what was stored is not sent again');
  });
}
