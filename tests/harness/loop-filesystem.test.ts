import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, realpath, rm, rmdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLoopFilesystem, sweepStaleLoopFilesystems } from '../../testing/harness/loop-filesystem.ts';
import { processStartTicks } from '../../testing/harness/mount-table.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { runWithBusyMkfs } from '../support/mkfs-busy-once.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const modulePath = resolve(import.meta.dirname, '../../testing/harness/loop-filesystem.ts');
const runDirectory = resolve(import.meta.dirname, '../../testing/run');
const sizeBytes = 128 * 2 ** 20;
const children = new Set<ChildProcess>();
const quiet = shell;

after(() => {
  for (const child of children) child.kill('SIGKILL');
});

/** What the system knows of a filesystem: its mounts, loop devices and files. All must be empty after removal. */
async function traces(mountPoint: string): Promise<string[]> {
  const folder = dirname(mountPoint);
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n');
  const loops = (await quiet`losetup --all`).stdout.split('\n');
  const files = existsSync(folder) ? [folder] : [];
  return [...mounts, ...loops, ...files].filter((line) => line.includes(folder));
}

/**
 * Another user, who can read the checkout wherever it is, such as below /root; access(2) too takes the capability only with this
 * securebit (capabilities(7)).
 */
const asNobody = [
  ...['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'],
  ...['--securebits=+no_setuid_fixup', '--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search'],
];

/** Runs `code` in a node process of its own, which sees createLoopFilesystem. */
function startNode(
  code: string,
  { env, user = [] }: { env?: NodeJS.ProcessEnv; user?: readonly string[] } = {},
): ChildProcess {
  const program = `import { createLoopFilesystem } from '${modulePath}'; ${code}`;
  const node = [process.execPath, '--import', 'tsx', '--input-type=module', '--eval', program];
  const [command = '', ...args] = [...user, ...node];
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...(env && { env }) });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

const createAndHold = `const { mountPoint } = await createLoopFilesystem({ name: 'held', sizeBytes: ${sizeBytes} });
  console.log(mountPoint); setInterval(() => {}, 1000);`;

async function killedOwner(): Promise<string> {
  const child = startNode(createAndHold);
  assert.ok(child.stdout);
  const [line] = await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  return String(line).trim();
}

/** The error message of a process that tries to create a filesystem and must fail. */
async function refusal(options: Parameters<typeof startNode>[1], mountOption = 'noatime') {
  const child = startNode(
    `await createLoopFilesystem({ name: 'refused', sizeBytes: ${sizeBytes}, mountOptions: ['${mountOption}'] })
      .then(() => console.log('created'), (error) => console.log(error.message));`,
    options,
  );
  assert.ok(child.stdout && child.stderr);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  assert.equal(stderr, '');
  return stdout.trimEnd();
}

test('a filesystem is mounted, can be written, and leaves nothing after remove, called as often as you like', async () => {
  const filesystem = await createLoopFilesystem({ name: 'plain', sizeBytes, mountOptions: ['noatime'] });
  assert.ok(filesystem.mountPoint.startsWith(`${await realpath(runDirectory)}/loop/plain-${process.pid}-`));
  await writeFile(join(filesystem.mountPoint, 'file'), 'content');
  const found = await traces(filesystem.mountPoint);
  assert.equal(found.length, 3, found.join('\n'));
  assert.match(found[0] ?? '', / btrfs .*noatime/);

  await Promise.all([filesystem.remove(), filesystem.remove()]);
  await filesystem.remove();
  assert.deepEqual(await traces(filesystem.mountPoint), []);
});

test('mounts on top of it are unmounted too', async () => {
  const filesystem = await createLoopFilesystem({ name: 'nested', sizeBytes });
  const inner = join(filesystem.mountPoint, 'inner');
  await quiet`mkdir ${inner} && mount -t tmpfs none ${inner}`;
  await filesystem.remove();
  assert.deepEqual(await traces(filesystem.mountPoint), []);
});

test('what a killed process left is swept by the next create, and a living one is left alone', async () => {
  const living = await createLoopFilesystem({ name: 'living', sizeBytes });
  const orphan = await killedOwner();
  assert.equal((await traces(orphan)).length, 3);

  const next = await createLoopFilesystem({ name: 'next', sizeBytes });
  assert.deepEqual(await traces(orphan), []);
  assert.equal((await traces(living.mountPoint)).length, 3);
  await Promise.all([living.remove(), next.remove()]);
  assert.deepEqual([...(await traces(living.mountPoint)), ...(await traces(next.mountPoint))], []);
});

test('the same leftover may be swept several times at once', async () => {
  const orphan = await killedOwner();
  await Promise.all([sweepStaleLoopFilesystems(), sweepStaleLoopFilesystems(), sweepStaleLoopFilesystems()]);
  assert.deepEqual(await traces(orphan), []);
});

test('a pid that is used again is not taken for the owner', async () => {
  const ticks = Number(await processStartTicks(process.pid));
  const mine = await mkdtemp(join(runDirectory, `loop/alive-${process.pid}-${ticks}-`));
  const reused = await mkdtemp(join(runDirectory, `loop/reused-${process.pid}-${ticks - 1}-`));
  await sweepStaleLoopFilesystems();
  assert.deepEqual([existsSync(mine), existsSync(reused)], [true, false]);
  await rmdir(mine);
});

test('a process that ended without being collected by its parent counts as gone', async () => {
  // The shell becomes a `sleep` that never collects its child.
  const parent = spawn('bash', ['-c', 'sleep 0.1 & echo $!; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.add(parent);
  const pid = Number(String((await once(parent.stdout, 'data'))[0]));
  for (let attempt = 0; attempt < 50 && (await processStartTicks(pid)) !== null; attempt += 1)
    await sleep(100);
  assert.match(await readFile(`/proc/${pid}/stat`, 'utf8'), /\) Z /);
  assert.equal(await processStartTicks(pid), null);
  parent.kill('SIGKILL');
});

test('a busy mount is detached lazily, and the error names the process that held it', async () => {
  const filesystem = await createLoopFilesystem({ name: 'busy', sizeBytes });
  const holder = spawn('sleep', ['60'], { cwd: filesystem.mountPoint });
  children.add(holder);
  await assert.rejects(filesystem.remove(), new RegExp(`unmounted lazily: .*sleep \\(pid ${holder.pid}\\)`));
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  await filesystem.remove();
  assert.deepEqual(await traces(filesystem.mountPoint), []);
});

test('refusals are one line and leave nothing', async () => {
  const folders = async () =>
    (await readdir(join(runDirectory, 'loop'))).filter((f) => f.startsWith('refused-'));
  assert.match(await refusal({ user: asNobody }), /^loop filesystems need root.*sudo -n$/);
  assert.match(await refusal({}, 'no-such-option'), /^mount was refused: .*[^\n]$/);

  const fewTools = await mkdtemp(join(runDirectory, 'path-'));
  for (const tool of ['bash', 'losetup']) await symlink(`/bin/${tool}`, join(fewTools, tool));
  assert.match(
    await refusal({ env: { PATH: fewTools } }),
    /^mkfs\.btrfs is missing: install btrfs-progs .*$/,
  );
  await symlink('/sbin/mkfs.btrfs', join(fewTools, 'mkfs.btrfs'));
  assert.match(await refusal({ env: { PATH: fewTools } }), /^mount is missing: install mount .*$/);
  await rm(fewTools, { recursive: true });

  await assert.rejects(
    createLoopFilesystem({ name: 'refused', sizeBytes: 4096 }),
    /^Error: mkfs.btrfs was refused/,
  );
  await assert.rejects(createLoopFilesystem({ name: '../evil', sizeBytes }), /name must be letters/);
  assert.deepEqual(await folders(), []);
});

test('mkfs.btrfs is tried again where another test detaches a loop device at that moment', async () => {
  const code = `
    import { createLoopFilesystem } from './testing/harness/loop-filesystem.ts';
    const { remove } = await createLoopFilesystem({ name: 'busy', sizeBytes: ${128 * 2 ** 20} });
    await remove();
  `;
  const outcome = await runWithBusyMkfs(temporaryDirectory('mkfs'), code);
  assert.deepEqual(outcome, { exitCode: 0, stdout: '', stderr: '' });
});
