/** The doctor where a host is as it should not be: in a small cgroup. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { smallWorld } from '../end-to-end/small-world.ts';
import { runProcess } from '../end-to-end/world.ts';

/** The hierarchy that limits memory, of version 1 or 2, and the file with its limit. */
const [hierarchy, limit] = existsSync('/sys/fs/cgroup/memory')
  ? ['/sys/fs/cgroup/memory', 'memory.limit_in_bytes']
  : ['/sys/fs/cgroup', 'memory.max'];

test('in a cgroup of 256 MiB the doctor names the setting that fits, and with it has nothing to say', async (t) => {
  const world = await smallWorld(t);
  const cgroup = join(hierarchy, `btrfs-to-s3-test-${process.pid}`);
  await mkdir(cgroup);
  world.cleanUp(() => rmdir(cgroup));
  await writeFile(join(cgroup, limit), String(256 * 2 ** 20));
  const config = await world.settingsFile({ CHUNK_SIZE: undefined, PART_SIZE: undefined });
  const examine = (...args: readonly string[]) => {
    const line = `echo $$ > '${cgroup}/cgroup.procs' && exec scripts/tsx.sh scripts/doctor.ts --config '${config}' "$@"`;
    return runProcess('bash', ['-c', line, 'bash', ...args]);
  };
  const { stdout } = await examine();
  const [, says = '', setting = ''] =
    /^! {2}memory +(a backup takes up to .*; settings that fit: )(?:.*, or )?(PART_SIZE=\w+)/m.exec(stdout) ??
    [];
  assert.match(says, /its cgroup \/btrfs-to-s3-test-\d+ has 256 MiB: it may be killed/, stdout);
  assert.match(
    (await examine('--set', setting)).stdout,
    /^✓ {2}memory +its cgroup .* has 256 MiB, which is enough$/m,
  );
});
