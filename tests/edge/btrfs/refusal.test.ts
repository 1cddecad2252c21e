/** What the kernel refuses is reported with its cause, and the advice ends it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ToolError } from '../../../lib/core/errors.ts';
import { locksOn } from '../../../lib/edge/btrfs/attributes.ts';
import { deleteSubvolume, makeReadOnly, takeSnapshot } from '../../../lib/edge/btrfs/btrfs.ts';
import { refusalOf } from '../../../lib/edge/btrfs/refusal.ts';
import { codeOf, fileError, pathExists } from '../../../lib/edge/files/files.ts';
import { shell } from '../../../testing/harness/processes/shell.ts';
import { runProcess } from '../../end-to-end/world.ts';
import { loopBtrfs } from '../../support/loop-btrfs.ts';

const mount = await loopBtrfs('refusal');
let made = 0;

/** A directory with a subvolume and a read-only snapshot of it. */
async function place() {
  const directory = join(mount, `place-${made++}`);
  await mkdir(directory);
  const [source, snapshot] = [join(directory, 'source'), join(directory, 'snapshot')];
  await shell`btrfs subvolume create ${source}`;
  await takeSnapshot(source, snapshot, 'read-only');
  return { directory, source, snapshot };
}

const isReadOnly = async (path: string) =>
  (await shell`btrfs property get -ts ${path} ro`).stdout.includes('true');

const refused = (attempt: Promise<unknown>): Promise<ToolError> =>
  attempt.then(
    () => assert.fail('it succeeded'),
    (error: unknown) => error as ToolError,
  );

/** Does what is to be undone when the test ends, if that is still needed. */
async function set(t: TestContext, words: string, undo: string): Promise<void> {
  t.after(() => shell({ nothrow: true })`bash -c ${undo}`);
  await shell`bash -c ${words}`;
}

/** Follows a hint: what stands behind its first colon is a command. */
async function follow({ hint = '' }: ToolError): Promise<void> {
  await shell`bash -c ${hint.slice(hint.indexOf(': ') + 2)}`;
}

for (const option of ['i', 'a']) {
  test(`a snapshot that inherited chattr +${option} is unlocked and deleted`, async (t) => {
    const { directory, source } = await place();
    await set(t, `chattr +${option} ${source}`, `chattr -${option} ${source}`);
    const snapshot = join(directory, 'locked');
    await takeSnapshot(source, snapshot, 'read-only');
    assert.equal((await locksOn(snapshot)).length, 1);
    await deleteSubvolume(snapshot);
    assert.equal(await pathExists(snapshot), false);
    assert.equal((await locksOn(source)).length, 1, 'the source stays as its owner wants it');
  });

  test(`chattr +${option} on the directory is named, and the snapshot stays read-only`, async (t) => {
    const { directory, snapshot } = await place();
    await set(t, `chattr +${option} ${directory}`, `chattr -${option} ${directory}`);
    const error = await refused(deleteSubvolume(snapshot));
    const lock = option === 'i' ? 'immutable' : 'append-only';
    assert.equal(
      error.message,
      `cannot delete the subvolume ${snapshot}: the directory ${directory} is ${lock} (chattr +${option})`,
    );
    assert.ok(await isReadOnly(snapshot));
    await follow(error);
    await deleteSubvolume(snapshot);
  });
}

test('a locked snapshot that something else keeps is read-only again', async (t) => {
  const { directory, source } = await place();
  await set(t, `chattr +i ${source}`, `chattr -i ${source}`);
  const snapshot = join(directory, 'locked');
  await takeSnapshot(source, snapshot, 'read-only');
  await set(t, `chattr +a ${directory}`, `chattr -a ${directory}`);
  const error = await refused(deleteSubvolume(snapshot));
  assert.match(error.message, /the directory .* is append-only/);
  assert.ok(await isReadOnly(snapshot));
});

test('without the right to unlock it, the line names the lock and the cure', async (t) => {
  const { directory, source } = await place();
  await set(t, `chattr +i ${source}`, `chattr -i ${source}`);
  const snapshot = join(directory, 'locked');
  await takeSnapshot(source, snapshot, 'read-only');
  const error = await deletedWithout('linux_immutable', snapshot);
  assert.match(
    error,
    /: it is immutable \(chattr \+i\); take that off: btrfs property set -ts \S+ ro false; chattr -i /,
  );
  assert.ok(await isReadOnly(snapshot));
});

/** What a process that lacks a capability says to the deletion. */
async function deletedWithout(capability: string, path: string): Promise<string> {
  const program = `
    import { deleteSubvolume } from './lib/edge/btrfs/btrfs.ts';
    import { describeError } from './lib/core/errors.ts';
    await deleteSubvolume(process.argv[1]).catch((error) => console.log(describeError(error)));`;
  const node = [process.execPath, '--import', 'tsx', '--input-type=module', '-e', program, path];
  const { stdout, stderr } = await runProcess('setpriv', [`--bounding-set=-${capability}`, ...node]);
  return stdout + stderr;
}

test('root without CAP_SYS_ADMIN, as in a container, and another user are distinguished', async () => {
  const { snapshot } = await place();
  assert.match(
    await deletedWithout('sys_admin', snapshot),
    /: root lacks CAP_SYS_ADMIN here; run it outside/,
  );
  process.seteuid?.(65_534);
  try {
    const error = await refusalOf('cannot x', 'ERROR: Operation not permitted', snapshot);
    assert.deepEqual([error.message, error.hint], ['cannot x: this user may not', 'run as root']);
  } finally {
    process.seteuid?.(0);
  }
});

test('the default subvolume is named', async (t) => {
  const { snapshot } = await place();
  await set(t, `btrfs subvolume set-default ${snapshot}`, `btrfs subvolume set-default 5 ${mount}`);
  const error = await refused(deleteSubvolume(snapshot));
  assert.match(error.message, /: it is the default subvolume of its filesystem$/);
  assert.match(error.hint ?? '', /btrfs subvolume set-default 5 /);
});

test('an active swap file is named', async (t) => {
  const { source } = await place();
  const file = join(source, 'swap file');
  await shell`bash -c ${`touch '${file}' && chattr +C '${file}' && fallocate -l 20M '${file}' && chmod 600 '${file}' && mkswap '${file}'`}`;
  await set(t, `swapon '${file}'`, `swapoff '${file}'`);
  const error = await refused(deleteSubvolume(source));
  assert.match(error.message, /source\/swap file is an active swap file$/);
});

test('a btrfs send that reads the snapshot is named', async (t) => {
  const { source, directory } = await place();
  await writeFile(join(source, 'large'), Buffer.alloc(8 * 2 ** 20, 1));
  const snapshot = join(directory, 'sent');
  await takeSnapshot(source, snapshot, 'read-only');
  const send = spawn('btrfs', ['send', snapshot], { stdio: ['ignore', 'pipe', 'ignore'] });
  t.after(() => send.kill('SIGKILL'));
  await new Promise((resolve) => send.stdout.once('readable', resolve));
  const error = await refused(deleteSubvolume(snapshot));
  assert.match(error.message, new RegExp(`: a btrfs send reads it \\(process ${send.pid}\\)$`));
});

test('what is read-only is named: the mount, or the subvolume that it lies in', async (t) => {
  const { source, directory } = await place();
  const inner = join(source, 'inner');
  await shell`btrfs subvolume create ${inner}`;
  await makeReadOnly(source);
  const error = await refused(deleteSubvolume(inner));
  assert.match(error.message, new RegExp(`: it lies in the read-only subvolume ${source}$`));
  await follow(error);
  assert.match((await refused(deleteSubvolume(source))).message, /: 1 other subvolume lies in it$/);
  await deleteSubvolume(inner);

  const view = join(directory, 'view');
  await mkdir(view);
  await set(t, `mount --bind ${directory} ${view} && mount -o remount,bind,ro ${view}`, `umount ${view}`);
  const mounted = await refused(takeSnapshot(source, join(view, 'new'), 'read-only'));
  assert.match(mounted.message, new RegExp(`: ${view} is mounted read-only$`));
});

test('a refusal without a known cause keeps the words of btrfs', async () => {
  const { directory } = await place();
  const error = await refused(deleteSubvolume(join(directory, 'none')));
  assert.deepEqual([error.hint, error.message.endsWith('none')], [undefined, true]);
  assert.match(error.childOutput ?? '', /ERROR/);
});

test('a quota that is used up is named, by files as by btrfs, with what to do', async (t) => {
  const { source } = await place();
  await set(t, `btrfs quota enable ${mount}`, `btrfs quota disable ${mount}`);
  await writeFile(join(source, 'large'), randomBytes(1_500_000));
  await shell`btrfs filesystem sync ${mount}`;
  await shell`btrfs qgroup limit 1M ${source}`;
  const cause: unknown = await writeFile(join(source, 'file'), '').catch((error: unknown) => error);
  assert.equal(codeOf(cause), 'EDQUOT');
  const error = fileError('cannot write a file', cause);
  assert.equal(error.message, 'cannot write a file: the quota is used up');
  assert.match(error.hint ?? '', /^make room/);
  const snapshot = await refused(takeSnapshot(source, join(source, 'over'), 'read-only'));
  assert.match(snapshot.childOutput ?? '', /Disk quota exceeded/);
  assert.equal(snapshot.hint, 'raise the quota of that subvolume: btrfs qgroup show');
});
