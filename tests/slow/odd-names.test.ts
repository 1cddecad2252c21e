import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { deterministicRandom } from '../../testing/harness/deterministic-random.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { seedOddities } from '../../testing/harness/seed-oddities.ts';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { createWorld, errorLines, namesIn, runProcess, type World } from '../end-to-end/world.ts';

/** A name of everything that a shell, a glob, an option parser or a reader of lines takes for something else. */
const odd = `-rf 'single' "double" \`touch owned\` $(touch owned) ;& *?[a] \\ # é🦀`;
const lineBreak = 'of two\n\tUUID: lines';

/** A value as it has to stand in a settings file when it holds line breaks. */
function quoted(value: string): string {
  assert.doesNotMatch(value, /["\\]/, 'dotenv has no way to quote these beside line breaks');
  return `"${value.replaceAll('\n', '\\n').replaceAll('\t', '\\t')}"`;
}

/** A world in which the source, SNAPSHOT_DIR and RUN_DIR have such names. */
async function oddWorld(
  t: Parameters<typeof createWorld>[0],
): Promise<{ world: World; config: string; source: string }> {
  const world = await createWorld(t);
  const source = join(world.mount, odd);
  await shell`btrfs subvolume create -- ${source}`;
  const snapshots = join(world.mount, `${odd} snapshots`);
  const runDirectory = join(world.directory, `run ${lineBreak}`);
  await mkdir(snapshots);
  const config = await world.settingsFile({
    SUBVOLUMES: `--odd=${source}`,
    SNAPSHOT_DIR: snapshots,
    RUN_DIR: quoted(runDirectory),
  });
  return { world, config, source };
}

/** Fails unless nothing that a name says was done. */
function assertNothingOwned(world: World): void {
  for (const place of [repositoryRoot, world.mount, world.directory, '/tmp', '/']) {
    assert.equal(existsSync(join(place, 'owned')), false, place);
  }
}

test('odd names everywhere: subvolume, snapshots, run files, content and target', async (t) => {
  const { world, config, source } = await oddWorld(t);
  const run = async (script: string, ...args: readonly string[]) => {
    const result = await runProcess('scripts/tsx.sh', [`scripts/${script}`, '--config', config, ...args]);
    assert.equal(result.exitCode, 0, `${script}: ${result.stderr}`);
    return result;
  };
  const backup = async () => {
    for (const script of ['snapshot.ts', 'send-chunk-upload.ts', 'manifest.ts']) await run(script);
    return treeDigest(source);
  };
  await seedOddities(source, deterministicRandom('odd names'));
  const full = await backup();
  await writeFile(join(source, 'names', '$(touch owned)'), 'changed');
  await shell`mv -- ${join(source, 'names', '-rf')} ${join(source, 'names', '--help\nand more')}`;
  const incremental = await backup();
  assert.notDeepEqual(full, incremental);

  const { backups } = JSON.parse((await run('list.ts', '--json')).stdout);
  assert.deepEqual(
    backups.map(({ subvolume, kind }: { subvolume: string; kind: string }) => [subvolume, kind]),
    [
      ['--odd', 'full'],
      ['--odd', 'incremental'],
    ],
  );
  await run('verify.ts', '--subvolume=--odd', '--deep');

  const parent = join(world.mount, odd.slice(0, 20), '--delete', lineBreak);
  await mkdir(parent, { recursive: true });
  for (const [name, at, expected] of [
    ['--target', backups[0].created_at, full],
    [`x ${odd}`, backups[1].created_at, incremental],
    ['n'.repeat(255), backups[1].created_at, incremental],
    ['line\nbreak', backups[1].created_at, incremental],
  ] as const) {
    const target = join(parent, name);
    const { stdout } = await run('restore.ts', '--subvolume=--odd', '--at', at, '--target', target);
    assert.match(stdout, /compared with/);
    assert.deepEqual(await treeDigest(target), expected, name);
  }
  assert.deepEqual((await namesIn(parent)).length, 4, 'nothing else is left beside them');
  assertNothingOwned(world);
});

test('names that cannot be used are refused in one line, before anything is done', async (t) => {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'file'), 'content');
  await world.backup();
  await mkdir(join(world.mount, 'a\nb'));
  const before = await namesIn(world.mount);
  const config = await world.settingsFile();
  const bytes = "$'\\xff'";
  const cases = [
    // Only a shell can give a process words that are no text.
    ['a TARGET of other bytes', `--target ${world.mount}/a${bytes}`, 2, /has bytes that are not UTF-8/],
    ['a TARGET above', `--target ${world.mount}/a/../b`, 2, /is not a plain absolute path/],
    ['a TARGET that is an option', '--target=--help', 2, /TARGET "--help" is not a plain absolute path/],
    ['a TARGET too long', `--target ${world.mount}/${'n'.repeat(256)}`, 1, /ENAMETOOLONG/],
    ['a TARGET of two lines that is there', `--target $'${world.mount}/a\\nb'`, 2, /\/a\nb exists already/],
    ['a TARGET with an escape', `--target $'\\e[2J'`, 2, /TARGET ".*" is not a plain absolute path/],
  ] as const;
  for (const [what, target, code, says] of cases) {
    await t.test(what, async () => {
      const script = `scripts/tsx.sh scripts/restore.ts --config ${config} --subvolume data ${target}`;
      const result = await runProcess('bash', ['--norc', '-c', script]);
      assert.equal(result.exitCode, code, result.stderr);
      const lines = errorLines(result);
      assert.equal(lines.length, 1, result.stderr);
      assert.match(lines[0] ?? '', says);
      assert.doesNotMatch(result.stderr.replaceAll('\n', ''), /\p{Cc}/u);
      assert.deepEqual(await namesIn(world.mount), before);
    });
  }

  await t.test('a subvolume whose path is of other bytes', async () => {
    const other = join(world.directory, 'other-bytes.env');
    const text = `SUBVOLUMES=x=${world.mount}/a`;
    await writeFile(other, Buffer.concat([Buffer.from(text), Buffer.from([0xff, 0x0a])]), { mode: 0o600 });
    const result = await runProcess('scripts/tsx.sh', ['scripts/snapshot.ts', '--config', other]);
    assert.equal(result.exitCode, 2, result.stderr);
    assert.match(
      errorLines(result).join('\n'),
      new RegExp(`^the settings file .*${basename(other)}:1 is not UTF-8 text; [^\n]*$`),
    );
  });

  await t.test('a FIFO and a device as settings file', async () => {
    const fifo = join(world.directory, 'fifo');
    await shell`mkfifo ${fifo}`;
    for (const path of [fifo, '/dev/zero', world.directory]) {
      const result = await runProcess('scripts/tsx.sh', ['scripts/list.ts', '--config', path]);
      assert.equal(result.exitCode, 2, result.stderr);
      assert.match(errorLines(result).join('\n'), /^the settings file [^\n]* is not a regular file; [^\n]*$/);
    }
  });
});
