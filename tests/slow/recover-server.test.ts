/**
 * recover.sh with the aws command: a chain of snapper's snapshots, plain and by each codec. Against the embedded server, or with
 * S3_SERVER=env against the one that the environment names.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { namesIn } from '../end-to-end/world.ts';
import { makeIdentity } from '../support/age-keys.ts';
import { makeRecoverScene } from '../support/recover-scene.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const { identity, recipient } = await makeIdentity(temporaryDirectory('recover-server'), 'identity');
/** Much of it compresses to next to nothing, and some of it not at all. */
const content = (number: number) =>
  Buffer.concat([
    Buffer.alloc(number === 1 ? 17_000_000 : 1000, 'well known '),
    randomBytes(number === 1 ? 7_000_000 : 20_000),
  ]);

for (const [name, settings] of Object.entries({
  nothing: {},
  zstd: { COMPRESS: 'zstd' },
  age: { ENCRYPT_TO: recipient },
  'zstd and age': { COMPRESS: 'zstd:1', ENCRYPT_TO: recipient },
})) {
  test(`a chain that was encoded by ${name} is restored with the aws command, bit for bit`, async (t) => {
    const scene = await makeRecoverScene(t, { ...settings, CHUNK_SIZE: '16MiB' }, content);
    const host = await scene.realHost();
    const target = join(scene.place, 'encoded');
    const key = 'ENCRYPT_TO' in settings ? ['--identity', identity] : [];
    const { exitCode, stderr } = await host.recover('restore', 'home', target, ...key);
    assert.equal(exitCode, 0, stderr);
    assert.deepEqual(await treeDigest(target), scene.trees[2]);
    assert.deepEqual(await namesIn(scene.place), ['encoded']);
  });
}
