/** Filesystems that fstab names and that are not mounted: what is at their places is not what people mean. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { smallWorld, write } from './small-world.ts';
import { hostIn } from './within-process.ts';
import { errorLines, namesIn, runProcess } from './world.ts';

test('what is not mounted is named, with the command that mounts it, and nothing is made there', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  await (await hostIn(world)).backUp();
  const place = join(world.directory, 'disk');
  const empty = join(world.directory, 'old');
  await mkdir(place);
  await mkdir(join(empty, 'data'), { recursive: true });
  const fstab = join(world.directory, 'fstab');
  const entries = [`/dev/x / ext4 defaults`, `UUID=1 ${place} btrfs noauto`, `UUID=2 ${empty} btrfs noauto`];
  await writeFile(fstab, `${entries.join('\n')}\n`);
  /** In a mount namespace of its own, where that is /etc/fstab. */
  const run = async (
    changes: Readonly<Record<string, string>>,
    script: string,
    ...args: readonly string[]
  ) => {
    const config = await world.settingsFile(changes);
    const line = 'mount --bind "$1" /etc/fstab && shift && exec scripts/tsx.sh "$@"';
    const command = ['bash', '-c', line, 'bash', fstab, `scripts/${script}`, '--config', config];
    return runProcess('unshare', ['--mount', ...command, ...args]);
  };
  const plan = (changes: Readonly<Record<string, string>>) => run(changes, 'snapshot.ts', '--dry-run');
  const restore = (target: string) => run({}, 'restore.ts', '--subvolume', 'data', '--target', target);
  const sources = [`${place}/data`, `old=${empty}/data`, `theirs=snapshots:${place}/*/snapshot`];
  const results = await Promise.all([
    plan({ SUBVOLUMES: sources.join() }),
    plan({ SNAPSHOT_DIR: `${place}/snapshots` }),
    plan({ SNAPSHOT_DIR: `${empty}/data` }),
    restore(`${place}/not/there`),
    restore(`${place}/data`),
  ]);
  const notMounted = (what: string, where: string) =>
    `${what} is on ${where}, which is not mounted (/etc/fstab names it); mount it and run again: mount ${where}`;
  assert.deepEqual(results.flatMap(errorLines), [
    `data: ${notMounted(`the subvolume ${place}/data`, place)}`,
    `old: ${notMounted(`the subvolume ${empty}/data`, empty)}`,
    `theirs: ${notMounted(`the directory of theirs, ${place}`, place)}`,
    notMounted(`SNAPSHOT_DIR ${place}/snapshots`, place),
    notMounted(`SNAPSHOT_DIR ${empty}/data`, empty),
    notMounted(`TARGET ${place}/not/there`, place),
    notMounted(`TARGET ${place}/data`, place),
  ]);
  assert.deepEqual(await namesIn(place), []);
});
