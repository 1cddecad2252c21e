/** recover.sh on backups that are compressed, encrypted and signed. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { namesIn } from '../end-to-end/world.ts';
import { makeIdentity, makeSshKey } from '../support/age-keys.ts';
import { makeRecoverScene } from '../support/recover-scene.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const directory = temporaryDirectory('recover-encoded');
const lastLine = (text: string) => text.trimEnd().split('\n').at(-1);
/** Much of it compresses to next to nothing, and some of it not at all. */
const content = (number: number) =>
  Buffer.concat([
    Buffer.alloc(number === 1 ? 17_000_000 : 1000, 'well known '),
    randomBytes(number === 1 ? 7_000_000 : 20_000),
  ]);

const { identity, recipient } = await makeIdentity(directory, 'identity');
const { identity: wrong } = await makeIdentity(directory, 'wrong');
const signer = await makeSshKey(directory, 'signer', 'ed25519');
const other = await makeSshKey(directory, 'other', 'ed25519');
const [signers, others] = [join(directory, 'signers'), join(directory, 'others')];
await writeFile(signers, `nas ${signer}\n`);
await writeFile(others, `nas ${other}\n`);

test('only the right identity, and only what was sealed, comes to btrfs receive', async (t) => {
  const scene = await makeRecoverScene(t, { ENCRYPT_TO: recipient, CHUNK_SIZE: '16MiB' }, content);
  const { bucket, host } = await scene.copy();
  const [full = '', second = '', last = ''] = scene.keys;
  const target = join(scene.place, 'sealed');
  const restore = async (...words: readonly string[]) => {
    const { exitCode, stderr } = await host.recover('restore', 'home', target, ...words);
    return [exitCode, lastLine(stderr)];
  };
  const read = (key: string) => JSON.parse(bucket.read(key).toString());

  assert.deepEqual(await restore(), [
    2,
    `recover.sh: ${full} is encrypted: name the secret key with --identity FILE`,
  ]);
  const [code, line] = await restore('--identity', wrong);
  assert.equal(code, 2);
  assert.match(`${line}`, /wrong does not open \S+: age: error: no identity matched any of the recipients$/);
  const thaw = await host.recover('thaw', 'home', '--identity', wrong);
  assert.equal(thaw.exitCode, 2, thaw.stderr);
  assert.deepEqual(
    bucket.calls().filter((call) => call.includes('.bin')),
    [],
  );
  assert.equal((await host.recover('thaw', 'home', '--identity', identity)).exitCode, 0);

  // Who can write to the bucket and knows the public key makes manifests that fit what he puts there.
  const sound = bucket.read(full);
  bucket.put(full, JSON.stringify({ ...read(full), sealed: read(last).sealed }));
  assert.deepEqual(await restore('--identity', identity), [
    4,
    `recover.sh: manifest ${full} cannot be used: its sealed digests are of another backup`,
  ]);
  const manifest = JSON.parse(sound.toString());
  const [chunk] = manifest.chunks;
  const plain = join(directory, 'plain');
  await writeFile(plain, randomBytes(chunk.frames[0].plain_size));
  await shell`age -r ${recipient} -o ${join(directory, 'frame')} ${plain}`;
  const { stdout } = await shell`base64 -w0 ${join(directory, 'frame')}`;
  const forged = Buffer.concat([
    Buffer.from(stdout, 'base64'),
    bucket.read(chunk.key).subarray(chunk.frames[0].size),
  ]);
  const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('base64');
  const size = forged.length - bucket.read(chunk.key).length + chunk.frames[0].size;
  manifest.total_bytes += forged.length - chunk.size;
  chunk.parts[0] = digest(forged.subarray(0, size));
  Object.assign(chunk, { size: forged.length, sha256: createHash('sha256').update(forged).digest('hex') });
  chunk.frames[0].size = size;
  bucket.put(full, JSON.stringify(manifest));
  const before = bucket.read(chunk.key);
  bucket.put(chunk.key, forged);
  assert.deepEqual(await restore('--identity', identity), [
    4,
    `recover.sh: a frame of ${chunk.key.split('/').slice(-2).join('/')} was exchanged: its SHA-256 is not the sealed one`,
  ]);
  assert.deepEqual(await namesIn(join(scene.place, '.recover-sealed/chain')), []);

  bucket.put(full, sound);
  bucket.put(chunk.key, before);
  const [secondChunk = ''] = read(second).chunks.map(({ key }: { key: string }) => key);
  bucket.fail(`get-object ${secondChunk.slice(-30)} (AccessDenied) not now`);
  assert.equal((await restore('--identity', identity))[0], 1);
  bucket.fail();
  bucket.calls();
  assert.deepEqual(await restore('--identity', identity, '--no-spool'), [0, `recover.sh: receiving ${last}`]);
  assert.deepEqual(
    bucket.calls().filter((call) => call.includes('/full/chunk')),
    [],
    'nothing is fetched again',
  );
  assert.deepEqual(await treeDigest(target), scene.trees[2]);
});

test('with --signers nothing is taken that is not signed, changed, or older than it could be', async (t) => {
  const settings = { SIGN_WITH: join(directory, 'signer') };
  const scene = await makeRecoverScene(t, settings, (number) => randomBytes(number * 10_000));
  const { bucket, host } = await scene.copy();
  const [full = '', second = '', last = ''] = scene.keys;
  const pointer = 'fleet/host-1/subvol/home/current.json';
  const target = join(scene.place, 'signed');
  const run = async (verb: string, ...words: readonly string[]) => {
    const { exitCode, stderr } = await host.recover(verb, ...words);
    return [exitCode, lastLine(stderr)] as const;
  };
  const thaw = (file = signers, which = 'home') => run('thaw', which, '--signers', file);
  const said = (code: number, line: string) => [code, `recover.sh: ${line}`];

  assert.deepEqual(await thaw(others), said(4, `manifest ${last} is signed by no signer in ${others}`));
  /** Changes an object, looks, and puts it back. */
  const whileChanged = async (
    key: string,
    content: string | Buffer | undefined,
    look: () => Promise<void>,
  ) => {
    const before = bucket.read(key);
    if (content === undefined) bucket.remove(key);
    else bucket.put(key, content);
    await look();
    bucket.put(key, before);
  };
  await whileChanged(`${full}.sig`, undefined, async () =>
    assert.deepEqual(await thaw(), said(4, `manifest ${full} is not signed`)),
  );
  const changed = bucket.read(full).toString().replace('"host": "host-1"', '"host": "host-2"');
  await whileChanged(full, changed, async () =>
    assert.deepEqual(await thaw(), said(4, `manifest ${full} was changed after it was signed`)),
  );
  await whileChanged(`${full}.sig`, bucket.read(`${second}.sig`), async () =>
    assert.deepEqual(await thaw(), said(4, `manifest ${full} was changed after it was signed`)),
  );
  const older = JSON.stringify({
    manifest_key: second,
    kind: 'incremental',
    created_at: second.slice(-21, -5),
  });
  await whileChanged(pointer, older, async () => {
    const [code, line] = await thaw();
    assert.equal(code, 4);
    assert.ok(
      line?.startsWith(`recover.sh: current.json names ${second}, but ${last} is newer and signed`),
      line,
    );
    assert.equal((await thaw(signers, second))[0], 0, 'one that is named is what is meant');
    await whileChanged(`${last}.sig`, undefined, async () => {
      const outcome = await host.recover('thaw', 'home', '--signers', signers);
      assert.equal(outcome.exitCode, 0, outcome.stderr);
      assert.match(
        outcome.stderr,
        /passing over \S+, which is newer than \S+: recover\.sh: manifest \S+ is not signed\n/,
      );
    });
  });
  // A key of before: as its line says when it was valid, the time of the backup counts.
  const [day = ''] = last.slice(-21).split('T');
  const valid = join(directory, 'valid');
  await writeFile(valid, `nas valid-after="${day}",valid-before="${Number(day) + 10_000}" ${signer}\n`);
  assert.equal((await thaw(valid))[0], 0);
  await writeFile(valid, `nas valid-before="20200101" ${signer}\n`);
  assert.deepEqual(await thaw(valid), said(4, `manifest ${last} is signed by no signer in ${valid}`));
  assert.equal((await run('restore', 'home', target, '--signers', signers))[0], 0);
  assert.deepEqual(await treeDigest(target), scene.trees[2]);
});
