/** recover.sh of the bucket restores on a host that has neither node nor this project. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdir, readFile, rename, rmdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { showSubvolume } from '../../lib/edge/btrfs/btrfs.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import type { StandIn } from '../support/aws-standin.ts';
import { makeNested, removeNested, strayName } from '../support/nested-subvolume.ts';
import { makeRecoverScene, type RecoverScene } from '../support/recover-scene.ts';
import { namesIn } from './world.ts';

const scene = await makeRecoverScene({ after });

/** Proves that the last backup is at a path and nothing beside it, and makes room for the next. */
async function proveRestored({ place, trees }: RecoverScene, target: string): Promise<void> {
  assert.deepEqual(await treeDigest(target), trees.at(-1));
  assert.deepEqual(
    (await namesIn(place)).map((name) => join(place, name)),
    [target],
  );
  await shell`btrfs subvolume delete ${target}`;
}

const lastLine = (text: string) => text.trimEnd().split('\n').at(-1);

/** The ranges of chunks that were fetched since the last time. */
const fetched = (bucket: StandIn) => bucket.calls().filter((call) => /^get-object .*\.bin /.test(call));

const chunksOf = (bucket: StandIn, key: string): readonly string[] =>
  JSON.parse(bucket.read(key).toString()).chunks.map((chunk: { key: string }) => chunk.key);

test('with the aws command: list, and a restore of a chain whose snapshots share a name', async () => {
  const host = await scene.realHost();
  const listed = await host.recover('list');
  assert.equal(listed.exitCode, 0, listed.stderr);
  const lines = listed.stdout.trimEnd().split('\n');
  assert.deepEqual(
    lines.map((line) => line.split(' ').at(-1)),
    ['home', ...scene.keys],
  );
  const target = join(scene.place, 'it is "home"');
  const restored = await host.recover('restore', 'home', target);
  assert.equal(restored.exitCode, 0, restored.stderr);
  assert.equal(restored.stdout, `restored ${target}\n`);
  await proveRestored(scene, target);
});

test('what is damaged reaches btrfs receive in no case, and once it is mended the same command goes on', async () => {
  const { bucket, host } = await scene.copy();
  const [full = ''] = scene.keys;
  const [, second = ''] = chunksOf(bucket, full);
  const bytes = bucket.read(second);
  const wrong = Buffer.from(bytes);
  wrong[1000] = (wrong[1000] ?? 0) ^ 1;
  const target = join(scene.place, 'mended');
  for (const [content, line] of [
    [wrong, `${second} is damaged: bytes 0 to ${bytes.length - 1} are not those of the manifest`],
    [bytes.subarray(1), `${second} has ${bytes.length - 1} bytes, and should have ${bytes.length}`],
  ] as const) {
    bucket.put(second, content);
    const { exitCode, stderr } = await host.recover('restore', 'home', target);
    assert.deepEqual([exitCode, lastLine(stderr)], [4, `recover.sh: ${line}`]);
    assert.deepEqual(await namesIn(join(scene.place, '.recover-mended/chain')), []);
    assert.deepEqual(await namesIn(scene.place), ['.recover-mended']);
  }
  const before = fetched(bucket);
  bucket.put(second, bytes);
  const { exitCode, stderr } = await host.recover('restore', 'home', target);
  assert.equal(exitCode, 0, stderr);
  const again = fetched(bucket).filter((call) => before.includes(call));
  assert.deepEqual([...new Set(again)], [`get-object ${second} 0-${bytes.length - 1}`]);
  await proveRestored(scene, target);
});

test('a restore that stopped goes on with the next backup, and fetches nothing again', async () => {
  const { bucket, host } = await scene.copy();
  const target = join(scene.place, 'goes on');
  const [, , last = ''] = scene.keys;
  const [lastChunk = ''] = chunksOf(bucket, last);
  bucket.fail(`get-object ${lastChunk.slice(-30)} (AccessDenied) when calling GetObject: not now`);
  const stopped = await host.recover('restore', 'home', target);
  assert.deepEqual(
    [stopped.exitCode, lastLine(stopped.stderr)],
    [
      1,
      `recover.sh: ${lastChunk} cannot be read: An error occurred (AccessDenied) when calling GetObject: not now`,
    ],
  );
  assert.equal((await namesIn(join(scene.place, '.recover-goes on/chain'))).length, 1, 'its parent went');
  fetched(bucket);
  bucket.fail();
  const { exitCode, stderr } = await host.recover('restore', 'home', target);
  assert.equal(exitCode, 0, stderr);
  assert.deepEqual(fetched(bucket), [`get-object ${lastChunk} 0-${bucket.read(lastChunk).length - 1}`]);
  await proveRestored(scene, target);
});

test('what was received by other manifests than those of now is not built on', async () => {
  const { bucket, host } = await scene.copy();
  const target = join(scene.place, 'again');
  const [full = '', , last = ''] = scene.keys;
  const [lastChunk = ''] = chunksOf(bucket, last);
  bucket.fail(`get-object ${lastChunk.slice(-30)} (AccessDenied) when calling GetObject: not now`);
  assert.equal((await host.recover('restore', 'home', target)).exitCode, 1);
  bucket.fail();
  fetched(bucket);
  bucket.put(full, bucket.read(full).toString().replace('"version"', '"note": 1, "version"'));
  const { exitCode, stderr } = await host.recover('restore', 'home', target);
  assert.equal(exitCode, 0, stderr);
  assert.ok(
    fetched(bucket).some((call) => call.includes('/full/')),
    'the full backup is received anew',
  );
  await proveRestored(scene, target);
});

test('TARGET, once it is there, is left alone; a run that only had to tidy up does that', async () => {
  const { bucket, host } = await scene.copy();
  const [full = ''] = scene.keys;
  const target = join(scene.place, 'there');
  const restored = await host.recover('restore', full, target, '--no-spool');
  assert.equal(restored.exitCode, 0, restored.stderr);
  assert.deepEqual(await treeDigest(target), scene.trees[0]);
  bucket.calls();
  const { exitCode, stderr } = await host.recover('restore', full, target);
  assert.deepEqual(
    [exitCode, stderr],
    [2, `recover.sh: ${target} is there already, and nothing is restored over it\n`],
  );
  const filesystem = await host.recover('restore', full, scene.place);
  const below = `name a path below it, such as ${scene.place}/restored`;
  assert.deepEqual(
    [filesystem.exitCode, filesystem.stderr],
    [2, `recover.sh: ${scene.place} is there already: ${below}\n`],
  );
  assert.deepEqual(bucket.calls(), []);
  // As after a kill between the last two steps.
  const staging = join(scene.place, '.recover-there');
  await mkdir(join(staging, 'chain'), { recursive: true });
  await writeFile(join(staging, 'target'), `${(await showSubvolume(target)).uuid}\n${full}\n`);
  const newer = await host.recover('restore', 'home', target);
  assert.deepEqual(
    [newer.exitCode, newer.stderr],
    [
      2,
      `recover.sh: ${target} is there already, from ${full}, and ${scene.keys.at(-1)} is meant: choose another TARGET, or name that MANIFEST to end its restore\n`,
    ],
  );
  const misspelt = await host.recover('restore', 'ho me', target);
  assert.deepEqual(
    [misspelt.exitCode, misspelt.stderr],
    [2, 'recover.sh: ho me is neither a subvolume nor the key of a manifest\n'],
  );
  assert.equal((await host.recover('restore', full, target)).stdout, `restored ${target}\n`);
  assert.deepEqual(await namesIn(scene.place), ['there']);
  await shell`btrfs subvolume delete ${target}`;
});

test('a parent that was received elsewhere on the filesystem is in the way: refused before a chunk is fetched', async () => {
  const { bucket, host } = await scene.copy();
  const target = join(scene.place, 'second');
  // A restore by hand has left the full backup.
  const left = join(scene.place, 'by-hand');
  await mkdir(left);
  const [full = ''] = scene.keys;
  await writeFile(join(left, 'stream'), Buffer.concat(chunksOf(bucket, full).map((key) => bucket.read(key))));
  await shell`btrfs receive ${left} < ${join(left, 'stream')}`;
  const { exitCode, stderr } = await host.recover('restore', 'home', target);
  assert.equal(exitCode, 1, stderr);
  assert.match(
    lastLine(stderr) ?? '',
    /^recover\.sh: the subvolume by-hand\/snapshot of this filesystem was received from the same backup/,
  );
  assert.deepEqual(fetched(bucket), []);
  await shell`btrfs subvolume delete ${join(left, 'snapshot')}`;
  await shell`rm -r ${left}`;
  assert.equal((await host.recover('restore', 'home', target)).exitCode, 0);
  await proveRestored(scene, target);
});

test('where the snapshots themselves are, they are not taken for parents', async () => {
  const { host } = await scene.copy();
  const target = join(scene.world.mount, 'restored');
  const { exitCode, stderr } = await host.recover('restore', 'home', target);
  assert.equal(exitCode, 0, stderr);
  assert.deepEqual(await treeDigest(target), scene.trees.at(-1));
});

test('two runs to one TARGET: the second ends with exit 3', async () => {
  const { bucket, host } = await scene.copy();
  await host.has('flock');
  const staging = join(scene.place, '.recover-locked');
  await mkdir(staging);
  const held = spawn('flock', [join(staging, 'lock'), 'cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
  held.stdin.write('held');
  await once(held.stdout, 'data');
  const { exitCode, stderr } = await host.recover('restore', 'home', join(scene.place, 'locked'));
  held.stdin.end();
  await once(held, 'close');
  assert.equal(exitCode, 3, stderr);
  assert.match(stderr, /^recover\.sh: another recover\.sh, or a btrfs receive that it left, works in /);
  assert.deepEqual(bucket.calls(), []);
  await shell`rm -r ${staging}`;
});

test('a staging directory that another user has made, or a link, is refused, and nothing is written through it', async () => {
  const { bucket, host } = await scene.copy();
  const staging = join(scene.place, '.recover-prepared');
  const victim = join(scene.place, 'victim');
  await writeFile(victim, 'kept');
  const refusal = new RegExp(`^recover\\.sh: ${staging} is not yours: `);
  await mkdir(staging);
  await symlink(victim, join(staging, 'lock'));
  await chown(staging, 65534, 65534);
  await host.has('flock');
  const theirs = await host.recover('restore', 'home', join(scene.place, 'prepared'));
  await rename(staging, join(scene.place, 'theirs'));
  await mkdir(join(scene.place, 'elsewhere'));
  await symlink('elsewhere', staging);
  const linked = await host.recover('restore', 'home', join(scene.place, 'prepared'));
  for (const { exitCode, stderr } of [theirs, linked]) {
    assert.equal(exitCode, 2, stderr);
    assert.match(stderr, refusal);
  }
  assert.equal(await readFile(victim, 'utf8'), 'kept');
  assert.deepEqual(await namesIn(join(scene.place, 'elsewhere')), []);
  assert.deepEqual(bucket.calls(), []);
  await shell`rm -r ${['theirs', 'elsewhere', '.recover-prepared', 'victim'].map((name) => join(scene.place, name))}`;
});

test('where btrfs receive hands an ACL of the top directory down to files, that is said', async () => {
  await shell`setfacl -d -m u:nobody:rwx ${scene.world.data}`;
  const key = await scene.backUp();
  const { host } = await scene.copy();
  const target = join(scene.place, 'handed down');
  for (const [manifest, expected] of [
    [scene.keys.at(-1) ?? '', false],
    [key, true],
  ] as const) {
    const { exitCode, stderr } = await host.recover('restore', manifest, target);
    assert.equal(exitCode, 0, stderr);
    const line = `recover.sh: the top directory of ${target} has an ACL or a compression property, and btrfs receive hands both down`;
    assert.equal(stderr.includes(line), expected, stderr);
    await shell`btrfs subvolume delete ${target}`;
  }
});

test('what btrfs send leaves behind of a directory with a nested subvolume is named, and stays', async () => {
  const { data } = scene.world;
  // The user's, one with something in it and one without that is none of these names.
  await mkdir(join(data, 'o9-9-0/full'), { recursive: true });
  await mkdir(join(data, 'o9-9'));
  await makeNested(data);
  const before = await scene.backUp();
  await removeNested(data);
  const after = await scene.backUp();
  const { host } = await scene.copy();
  const target = join(scene.place, 'left behind');
  const said =
    /recover\.sh: (.*) is empty, and most likely not in the backup: btrfs send leaves such a directory/;
  const intact = await host.recover('restore', before, target);
  assert.equal(intact.exitCode, 0, intact.stderr);
  assert.doesNotMatch(intact.stderr, said);
  await shell`btrfs subvolume delete ${target}`;
  const { exitCode, stderr } = await host.recover('restore', after, target);
  assert.equal(exitCode, 0, stderr);
  const [stray = ''] = (await namesIn(target)).filter((name) => name !== 'o9-9-0' && strayName.test(name));
  assert.equal(said.exec(stderr)?.[1], join(target, stray), stderr);
  await rmdir(join(target, stray));
  await shell`btrfs subvolume delete ${target}`;
});
