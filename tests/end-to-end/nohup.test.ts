/** A run that was started with nohup survives its connection, and its terminal: SIGHUP neither ends it nor its children. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  processesAbout,
  sendOfUpload,
  start,
  startInTerminal,
  until,
  whileRunning,
} from './running-script.ts';
import { assertStopped, worldWithData } from './stopped-script.ts';
import { allKeys } from './world.ts';

const mib = 2 ** 20;
const slow = { fault: 'slow', operation: ['UploadPart', 'PutObject'] } as const;
/** As nohup(1) does it; that would also redirect what is a terminal. */
const nohup = "trap '' HUP;";

test('with nohup a backup goes on after SIGHUP, and is stopped by SIGTERM; without, SIGHUP stops it', async (t) => {
  const world = await worldWithData(t);
  const command = `exec scripts/tsx.sh scripts/backup.ts --config ${await world.settingsFile()}`;
  // However slow this machine is, parts must not be stored, nor btrfs send end, while it is looked at.
  world.server.faults.set([{ ...slow, bytesPerSecond: mib / 16 }]);
  for (const [before, name] of [
    [nohup, 'SIGTERM'],
    ['', 'SIGHUP'],
  ] as const) {
    const running = start(world, 'bash', ['-c', `${before} ${command}`]);
    await whileRunning(running, 'btrfs send', async () => (await sendOfUpload(world.mount)) !== undefined);
    const group = -(running.child.pid ?? assert.fail('no process'));
    if (before === nohup) {
      const send = await sendOfUpload(world.mount);
      process.kill(group, 'SIGHUP');
      await sleep(1500);
      process.kill(group, 'SIGHUP');
      await sleep(500);
      assert.equal(running.child.exitCode, null, running.said());
      assert.equal(await sendOfUpload(world.mount), send, 'its child lives');
    }
    process.kill(group, name);
    await assertStopped(world, running, name);
  }
});

for (const [what, trap, code, bytesPerSecond] of [
  ['with nohup a backup is published although its terminal, to which it writes, was closed', nohup, 0, mib],
  // The shell takes note of it, and what it starts knows nothing of that.
  ['without, a closed terminal stops it', 'trap : HUP;', 129, mib / 16],
] as const) {
  test(what, async (t) => {
    const world = await worldWithData(t);
    const config = await world.settingsFile();
    const result = join(world.directory, 'exit-code');
    const backup = `scripts/tsx.sh scripts/backup.ts --config ${config}; echo $? > ${result}`;
    world.server.faults.set([{ ...slow, bytesPerSecond }]);
    // The outer shell leads the session: it is ended first, and then the kernel sends SIGHUP to all that it started.
    const terminal = startInTerminal(world, `(${trap} ${backup}); true`);
    world.cleanUp(async () => {
      for (const pid of await processesAbout(config)) process.kill(pid, 'SIGKILL');
    });
    await terminal.drawn();
    await terminal.close();
    // Some pictures of the bar are drawn for nobody.
    await sleep(1000);
    world.server.faults.clear();
    let exitCode = '';
    await until('the backup has ended', async () => {
      exitCode = await readFile(result, 'utf8').catch(() => '');
      return exitCode !== '';
    });
    assert.equal(exitCode, `${code}\n`);
    const isPublished = (await allKeys(world)).some((key) => key.endsWith('current.json'));
    assert.equal(isPublished, code === 0);
  });
}
