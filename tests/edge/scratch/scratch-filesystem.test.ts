import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { ToolError } from '../../../lib/core/errors.ts';
import { GIB, MIB } from '../../../lib/core/units.ts';
import {
  makeScratchFilesystem,
  type ScratchFilesystem,
  sweepScratchFilesystems,
} from '../../../lib/edge/scratch/scratch-filesystem.ts';
import { shell } from '../../../testing/harness/processes/shell.ts';
import { testDirectory } from '../../../testing/harness/test-directory.ts';
import { btrfs } from '../../support/loop-btrfs.ts';
import { runWithBusyMkfs } from '../../support/mkfs-busy-once.ts';
import { runCode } from '../../support/run-program.ts';
import { temporaryDirectory, tinyFilesystem } from '../../support/temporary-directory.ts';
import { unmount } from '../../support/unmount-everywhere.ts';

const parent = mkdtempSync(join(testDirectory(), 'scratch-'));
// As systemd has all mounts: what is mounted below one that is shared is shared too, unless that is prevented.
await shell`mount --bind ${parent} ${parent} && mount --make-shared ${parent}`;
const made: ScratchFilesystem[] = [];
after(async () => {
  for (const { remove } of made) await remove().catch(() => undefined);
  await sweepScratchFilesystems(parent);
  await unmount(parent);
  rmSync(parent, { recursive: true });
});

async function make(sizes: readonly number[], directory = parent): Promise<ScratchFilesystem> {
  const scratch = await makeScratchFilesystem(directory, sizes);
  made.push(scratch);
  return scratch;
}

const mounts = () =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(`${parent}/`));

/** Loop devices are freed by a worker of the kernel, a moment after the unmount. */
async function assertNothingLeft(): Promise<void> {
  assert.deepEqual(readdirSync(parent), []);
  assert.deepEqual(mounts(), []);
  for (let tries = 0; ; tries++) {
    const { stdout } = await shell`losetup --list --noheadings --output BACK-FILE`;
    if (!stdout.includes(parent)) return;
    assert.ok(tries < 100, stdout);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test('it holds what it is to hold, no one else looks in, and nothing of it is left', async () => {
  const scratch = await make([8 * GIB]);
  assert.equal(statSync(join(scratch.mountPoint, '..')).mode & 0o777, 0o700);
  const [mount = ''] = mounts();
  assert.match(
    mount,
    / rw,nosuid,nodev,noexec,noatime - btrfs /,
    'and it is not shared with other namespaces',
  );
  const { bsize, bavail } = statfsSync(scratch.mountPoint);
  assert.ok(bsize * bavail > 7 * GIB, 'it is as large as it was to be');
  const image = join(scratch.mountPoint, '../image');
  assert.ok(statSync(image).blocks * 512 < 32 * MIB, 'and takes nothing while it is empty');
  btrfs('subvolume', 'create', join(scratch.mountPoint, 'a'));
  await shell`dd if=/dev/urandom of=${join(scratch.mountPoint, 'a/file')} bs=1M count=40 && sync -f ${scratch.mountPoint}`;
  assert.ok(statSync(image).blocks * 512 > 40 * MIB);
  // An attribute that fits nodes of 64 KiB alone.
  writeFileSync(join(parent, 'value'), 'A'.repeat(40_000));
  await shell`python3 -c ${`import os; os.setxattr("${join(scratch.mountPoint, 'a/file')}", "user.large", open("${join(parent, 'value')}", "rb").read())`}`;
  await shell`rm ${join(parent, 'value')}`;
  await scratch.remove();
  await assertNothingLeft();
});

test('what is deleted in it goes back to the disk', async () => {
  const scratch = await make([8 * GIB]);
  const { mountPoint } = scratch;
  btrfs('subvolume', 'create', join(mountPoint, 'a'));
  await shell`dd if=/dev/urandom of=${join(mountPoint, 'a/file')} bs=1M count=60 && sync -f ${mountPoint}`;
  await shell`btrfs subvolume delete --commit-after ${join(mountPoint, 'a')} && btrfs subvolume sync ${mountPoint} && sync -f ${mountPoint}`;
  assert.ok(statSync(join(mountPoint, '../image')).blocks * 512 < 40 * MIB);
  await scratch.remove();
  await assertNothingLeft();
});

test('a size that the disk does not take is followed by the next one', async () => {
  const { mountPoint, remove } = await make([Number.MAX_SAFE_INTEGER, GIB]);
  assert.equal(statSync(join(mountPoint, '../image')).size, GIB);
  await remove();
  await assert.rejects(make([Number.MAX_SAFE_INTEGER]), /cannot make an image of/);
  await assertNothingLeft();
});

test('what a killed run has left is removed, also while a process is in it', async () => {
  const code = `import { makeScratchFilesystem } from './lib/edge/scratch/scratch-filesystem.ts';
    const { mountPoint } = await makeScratchFilesystem(${JSON.stringify(parent)}, [${GIB}]);
    console.log(mountPoint);
    process.kill(process.pid, 'SIGKILL');`;
  const alive = await make([GIB]);
  const dead = [(await runCode(code)).stdout.trim(), (await runCode(code)).stdout.trim()];
  assert.equal(mounts().length, 3);
  const inside = spawn('sleep', ['600'], { cwd: dead[0] });
  try {
    const swept = await sweepScratchFilesystems(parent);
    assert.deepEqual(swept.failures, []);
    assert.deepEqual([...swept.removed].sort(), dead.map((path) => join(path, '..')).sort());
    assert.equal(mounts().length, 1, 'of the run that lives');
  } finally {
    const gone = once(inside, 'exit');
    inside.kill('SIGKILL');
    await gone;
  }
  await alive.remove();
  await assertNothingLeft();
});

test('where it cannot be made, the line says where and what to do, and nothing is left', async () => {
  const full = tinyFilesystem('scratch', 64 * 1024);
  await assert.rejects(make([GIB], full), (error: ToolError) => {
    assert.match(error.message, /^cannot make a Btrfs filesystem in \S+\/image$/);
    return true;
  });
  assert.deepEqual(readdirSync(full), []);
  await assert.rejects(make([GIB], join(parent, 'absent')), (error: ToolError) => {
    assert.equal(
      error.message,
      `cannot make a scratch filesystem in ${join(parent, 'absent')}: it does not exist`,
    );
    assert.match(error.hint ?? '', /SPOOL_DIR/);
    return true;
  });
});

test('mkfs.btrfs is tried again where a loop device of another goes at that moment', async () => {
  const place = temporaryDirectory('mkfs');
  const code = `
    import { makeScratchFilesystem } from './lib/edge/scratch/scratch-filesystem.ts';
    const { remove } = await makeScratchFilesystem(${JSON.stringify(parent)}, [${GIB}]);
    await remove();
  `;
  assert.deepEqual(await runWithBusyMkfs(place, code), { exitCode: 0, stdout: '', stderr: '' });
});
