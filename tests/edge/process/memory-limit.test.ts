import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { readMemoryLimit } from '../../../lib/edge/process/memory-limit.ts';
import { runProcess } from '../../end-to-end/world.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('memory-limit');
const mib = 2 ** 20;
let systems = 0;

/** The files of a machine, by their paths. */
function machine(files: Readonly<Record<string, string>>): string {
  const root = join(directory, `${systems++}`);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

const meminfo = (totalMib: number, availableMib: number, swapMib = 0) =>
  `MemTotal:       ${totalMib * 1024} kB\nMemFree:  1 kB\nMemAvailable:   ${availableMib * 1024} kB\nSwapFree:   ${swapMib * 1024} kB\n`;
const large = { 'proc/meminfo': meminfo(16_000, 12_000) };
const version2 = '31 24 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n';
const version1 =
  '31 24 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n35 24 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n36 24 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n';

test('without cgroups the machine counts, and what other programs leave of it, swap included', async () => {
  assert.deepEqual(await readMemoryLimit(machine({ 'proc/meminfo': meminfo(490, 250) })), {
    bytes: 250 * mib,
    whose: 'this machine, beside other programs,',
  });
  assert.deepEqual(await readMemoryLimit(machine({ 'proc/meminfo': meminfo(490, 250, 2000) })), {
    bytes: 490 * mib,
    whose: 'this machine',
  });
  assert.equal(await readMemoryLimit(machine({})), undefined);
});

test('of cgroups in each other the least counts, of version 2', async () => {
  const cgroup = (path: string) => `sys/fs/cgroup/${path}`;
  const files = {
    ...large,
    'proc/self/cgroup': '0::/system.slice/backup.service/inner\n',
    'proc/self/mountinfo': version2,
    [cgroup('system.slice/backup.service/inner/memory.max')]: 'max\n',
    [cgroup('system.slice/backup.service/memory.max')]: `${300 * mib}\n`,
    [cgroup('system.slice/memory.max')]: `${400 * mib}\n`,
  };
  const whose = 'its cgroup /system.slice/backup.service';
  assert.deepEqual(await readMemoryLimit(machine(files)), { bytes: 300 * mib, whose });
  const high = { ...files, [cgroup('system.slice/memory.high')]: `${200 * mib}\n` };
  assert.deepEqual(await readMemoryLimit(machine(high)), {
    bytes: 200 * mib,
    whose: 'its cgroup /system.slice',
  });
});

test('of version 1 the hierarchy with memory counts, and what is unlimited is not', async () => {
  const files = {
    ...large,
    'proc/self/cgroup': '5:cpu:/\n4:memory:/user/me\n0::/\n',
    'proc/self/mountinfo': version1,
    'sys/fs/cgroup/memory/user/me/memory.limit_in_bytes': '9223372036854771712\n',
    'sys/fs/cgroup/memory/user/memory.limit_in_bytes': `${350 * mib}\n`,
    'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
  };
  assert.deepEqual(await readMemoryLimit(machine(files)), { bytes: 350 * mib, whose: 'its cgroup /user' });
});

test('in a container that sees only its own end of the path, that is found', async () => {
  const files = {
    ...large,
    'proc/self/cgroup': '0::/docker/3f2a\n',
    'proc/self/mountinfo': version2.replace(' / /sys', ' /docker/3f2a /sys'),
    'sys/fs/cgroup/memory.max': `${256 * mib}\n`,
  };
  assert.equal((await readMemoryLimit(machine(files)))?.bytes, 256 * mib);
  const own = { ...files, 'proc/self/cgroup': '0::/\n', 'proc/self/mountinfo': version2 };
  assert.equal((await readMemoryLimit(machine(own)))?.bytes, 256 * mib);
});

/** A directory in which a cgroup with a limit of memory can be made, and the file for that. */
function realHierarchy(): readonly [directory: string, file: string] | undefined {
  const [, own = '/'] =
    /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8')) ?? [];
  const first = `/sys/fs/cgroup/memory${own}`;
  if (existsSync(join(first, 'memory.limit_in_bytes'))) return [first, 'memory.limit_in_bytes'];
  const control = '/sys/fs/cgroup/cgroup.subtree_control';
  const hasMemory = existsSync(control) && readFileSync(control, 'utf8').split(/\s/).includes('memory');
  return hasMemory ? ['/sys/fs/cgroup', 'memory.max'] : undefined;
}

test('a process in a real cgroup finds the limit of the one around it', async (t) => {
  const [root, file] = realHierarchy() ?? [];
  if (root === undefined || file === undefined) return t.skip('no cgroup can be made here');
  const outer = join(root, `memory-limit-${process.pid}`);
  const inner = join(outer, 'inner');
  try {
    mkdirSync(inner, { recursive: true });
    writeFileSync(join(outer, file), `${300 * mib}`);
  } catch {
    return t.skip('no cgroup can be made here');
  } finally {
    t.after(() => {
      for (const path of [inner, outer]) if (existsSync(path)) rmdirSync(path);
    });
  }
  const code = `import { readMemoryLimit } from './lib/edge/process/memory-limit.ts'; console.log(JSON.stringify(await readMemoryLimit()));`;
  const line = `echo $BASHPID > "$1" && exec "$2" --import tsx --input-type=module --eval "$3"`;
  const { stdout, stderr } = await runProcess('bash', [
    ...['-c', line, 'bash', join(inner, 'cgroup.procs'), process.execPath, code],
  ]);
  assert.equal(stderr, '');
  const { bytes, whose } = JSON.parse(stdout);
  assert.equal(bytes, 300 * mib);
  assert.match(whose, new RegExp(`^its cgroup /.*memory-limit-${process.pid}$`));
});
