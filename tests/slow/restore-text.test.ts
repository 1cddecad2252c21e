/** RESTORE.txt of an encoded backup, followed to the letter: with recover.sh, and by hand. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { namesIn, readObject, runProcess, secret } from '../end-to-end/world.ts';
import { makeIdentity } from '../support/age-keys.ts';
import { makeRecoverScene } from '../support/recover-scene.ts';
import { asScript, assertSucceeded, commandBlocks, scriptBlocks } from '../support/recovery-blocks.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const directory = temporaryDirectory('restore-text');
const { identity, recipient } = await makeIdentity(directory, 'identity');
const scene = await makeRecoverScene(
  { after },
  { COMPRESS: 'zstd:1', ENCRYPT_TO: recipient, CHUNK_SIZE: '16MiB' },
  (number) => randomBytes(number === 1 ? 20_000_000 : 10_000),
);
const text = await readObject(scene.world, 'fleet/host-1/RESTORE.txt');

/** Enters blocks, each of which must succeed. */
async function enter(name: string, blocks: readonly string[]): Promise<string> {
  const home = join(directory, name);
  await mkdir(home);
  const { stdout, stderr } = await runProcess(
    'bash',
    ['--norc', '-u', '-c', `cd ${home}\n${asScript(blocks)}`],
    {
      HOME: home,
      AWS_ACCESS_KEY_ID: 'end-to-end',
      AWS_SECRET_ACCESS_KEY: secret,
    },
  );
  assertSucceeded(stderr, blocks);
  return stdout;
}

test('with recover.sh', async () => {
  const target = join(scene.place, 'by script');
  const blocks = scriptBlocks(text, { name: 'home', target: `'${target}' --identity ${identity}` });
  assert.equal(blocks.length, 3);
  const said = await enter('script', blocks);
  assert.match(said, /^home\n( {2}\S+ +(full|incremental) .*\n){3}chunks readable: 4, /m);
  assert.deepEqual(await treeDigest(target), scene.trees[2]);
  assert.deepEqual(await namesIn(scene.place), ['by script']);
});

test('by hand', async () => {
  const target = join(scene.place, 'home');
  const work = `'${join(scene.place, 'by hand')}'`;
  const blocks = commandBlocks(text, { name: 'home', target, directory: work, identity });
  // Nothing here is archived.
  await enter(
    'hand',
    blocks.filter((block) => !block.includes('s3api')),
  );
  assert.deepEqual(await treeDigest(target), scene.trees[2]);
});
