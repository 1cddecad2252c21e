/** A damaged run file of one subvolume: every other is backed up, and so is this one. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { smallWorld, write } from './small-world.ts';
import { mustSucceed, namesIn, readObject } from './world.ts';

test('a damaged run file keeps neither another subvolume nor its own from being backed up', async (t) => {
  const world = await smallWorld(t);
  const other = join(world.mount, 'other');
  await shell`btrfs subvolume create ${other}`;
  await write(world, 'a');
  await writeFile(join(other, 'b'), 'b');
  const config = await world.settingsFile({ SUBVOLUMES: `${world.data},${other}` });
  const run = async (script: string, ...args: readonly string[]) => {
    const { exitCode, stdout, stderr } = await world.run(script, '--config', config, ...args);
    assert.equal(exitCode, 0, `${script}: ${stderr}`);
    return { stdout, stderr };
  };
  const pointer = async (name: string) =>
    JSON.parse(await readObject(world, `fleet/host-1/subvol/${name}/current.json`)).manifest_key;
  await run('backup.ts');
  for (const name of ['snapshot.json', 'chunks.json', 'upload.jsonl', 'published.json', 'pruning.json']) {
    const path = join(world.runDirectory, 'data', name);
    const before = [await pointer('data'), await pointer('other')];
    await run('snapshot.ts');
    await run('send-chunk-upload.ts');
    await writeFile(path, '{"half');
    assert.ok(JSON.parse((await run('list.ts', '--json')).stdout).backups.length >= 2, name);
    const { stderr } = await run('backup.ts');
    const after = [await pointer('data'), await pointer('other')];
    assert.ok(after[0] !== before[0] && after[1] !== before[1], name);
    const isSetAside = name === 'snapshot.json' || name === 'chunks.json';
    assert.equal(
      stderr.includes(`${path} cannot be understood: it is kept as ${path}.damaged`),
      isSetAside,
      stderr,
    );
    if (isSetAside) assert.equal(await readFile(`${path}.damaged`, 'utf8'), '{"half');
  }
  const left = await namesIn(join(world.runDirectory, 'data'));
  assert.deepEqual(left, [
    'chunks.json.damaged',
    'pruning.json',
    'published.json',
    'snapshot.json.damaged',
    'taken.json',
  ]);
  assert.ok((await namesIn(world.snapshots)).length <= 4, 'the snapshot of the lost file is thinned as well');
  const target = join(world.mount, 'restored');
  await mustSucceed(world, 'restore.ts', '--subvolume', 'data', '--target', target);
  assert.deepEqual(await treeDigest(target), await treeDigest(world.data));
});
