/** Backups through a codec, as the stages make them, on a real filesystem: out and back, and what the bucket gets to see. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { appendFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Manifest } from '../../lib/core/format/manifest.ts';
import { readJournal } from '../../lib/edge/files/journal.ts';
import { openDigests } from '../../lib/transfer/codec/decoder.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { makeIdentity, makeSshKey } from '../support/age-keys.ts';
import { proveIs, refusal, smallWorld } from './small-world.ts';
import { hostIn } from './within-process.ts';
import { allKeys, createWorld, readObject, type World, writeObject } from './world.ts';

const mib = 2 ** 20;
const words = 'the words of a file that everybody knows';

/** Content of which some compresses, some does not, and some is known. */
async function grow(world: World, name: string): Promise<void> {
  await writeFile(join(world.data, `${name}-random`), randomBytes(7 * mib));
  await writeFile(join(world.data, `${name}-zeros`), Buffer.alloc(12 * mib));
  await appendFile(join(world.data, 'known'), `${words} ${name}\n`.repeat(100));
}

test('one chain of every codec, with both protocols, is verified and restored to the bit', async (t) => {
  const world = await smallWorld(t);
  await shell`btrfs property set ${world.data} compression zstd`;
  const { identity, recipient } = await makeIdentity(world.directory, 'identity');
  const made: { readonly key: string; readonly tree: unknown; readonly manifest: Manifest }[] = [];
  for (const compressed of ['false', 'true']) {
    for (const codec of [
      {},
      { COMPRESS: 'zstd' },
      { ENCRYPT_TO: recipient },
      { COMPRESS: 'zstd:1', ENCRYPT_TO: recipient },
    ]) {
      await grow(world, `${made.length}`);
      // A host that backs up has no identity.
      const host = await hostIn(world, { settings: { ...codec, COMPRESSED_SEND: compressed } });
      const { key, manifest } = await host.backUp();
      made.push({ key, manifest, tree: await treeDigest(world.data) });
    }
  }
  assert.deepEqual(
    made.map(({ manifest: { kind, codec, stream } }) => [
      kind,
      codec?.compress,
      codec?.encrypt,
      stream?.protocol,
      stream?.sha256 === undefined,
    ]),
    [
      ['full', 'none', 'none', 1, false],
      ['incremental', 'zstd', 'none', 1, false],
      ['incremental', 'none', 'age', 1, true],
      ['incremental', 'zstd', 'age', 1, true],
      ['incremental', 'none', 'none', 2, false],
      ['incremental', 'zstd', 'none', 2, false],
      ['incremental', 'none', 'age', 2, true],
      ['incremental', 'zstd', 'age', 2, true],
    ],
  );
  assert.deepEqual(Object.keys(made.at(-1)?.manifest.tool?.programs ?? {}), ['zstd', 'age']);

  const blind = await hostIn(world);
  const stored = await blind.verify(true);
  assert.deepEqual([stored.findings, stored.sealed], [[], 4]);
  const settings = { DECRYPT_WITH: identity };
  const host = await hostIn(world, { settings });
  for (const deep of [false, true]) {
    const { findings, sealed, manifests } = await host.verify(deep);
    assert.deepEqual([findings, sealed, manifests], [[], 0, 8]);
  }
  for (const at of [7, 3]) {
    const target = join(world.mount, `restored-${at}`);
    await host.restore(target, { manifest: made[at]?.key });
    assert.deepEqual(await treeDigest(target), made[at]?.tree);
  }

  // What a restore refuses by its manifest alone is not sound.
  const key = made[7]?.key ?? '';
  const exchanged = { ...JSON.parse(await readObject(world, key)), sealed: made[6]?.manifest.sealed };
  await writeObject(world, key, JSON.stringify(exchanged));
  assert.deepEqual(
    (await host.verify()).findings.map(({ object, problem }) => [object, problem.split(':')[0]]),
    [[key, 'cannot be used']],
  );
  const unable = await hostIn(world, { settings: { DECRYPT_WITH: join(world.directory, 'nowhere') } });
  assert.deepEqual((await unable.verify()).findings, []);
  assert.match(
    unable.warnings.join('\n'),
    /the sealed digests of encrypted backups are not looked at: .*nowhere/,
  );
});

test('nothing of what was backed up, and no digest of it, can be seen in the bucket', async (t) => {
  const world = await smallWorld(t);
  const { identity, recipient } = await makeIdentity(world.directory, 'identity');
  await grow(world, 'secret');
  const host = await hostIn(world, { settings: { ENCRYPT_TO: recipient, DECRYPT_WITH: identity } });
  await host.plan();
  await host.upload();
  const events = await readJournal(join(world.runDirectory, 'data/upload.jsonl'));
  const frames = events.flatMap((event) => (event.event === 'chunk-completed' ? (event.frames ?? []) : []));
  assert.ok(frames.length > 3);
  const { key, manifest } = await host.backUp();
  const sealed = (await openDigests(manifest, identity)) ?? assert.fail();
  // Chunks may be completed in another order.
  const journalled = frames.map(({ plain_sha256 }) => plain_sha256);
  assert.deepEqual(sealed.frames.flat().sort(), journalled.sort());
  const files = await Promise.all(
    ['known', 'secret-random', 'secret-zeros'].map((file) => readFile(join(world.data, file))),
  );
  const known = [
    sealed.stream,
    ...sealed.chunks,
    ...sealed.frames.flat().map((digest) => Buffer.from(digest, 'base64').toString('hex')),
    ...files.map((content) => createHash('sha256').update(content).digest('hex')),
  ];
  const digests = known.flatMap((hex) => {
    const bytes = Buffer.from(hex, 'hex');
    return [Buffer.from(hex), Buffer.from(bytes.toString('base64')), bytes];
  });
  const secret = /AGE-SECRET-KEY-\w+/.exec(await readFile(identity, 'utf8'))?.[0] ?? assert.fail();
  const planted = [Buffer.from(words), Buffer.from(secret), Buffer.from(recipient), ...digests];
  let bytes = 0;
  for (const path of await filesBelow(join(world.directory, 's3'))) {
    const content = await readFile(path);
    bytes += content.length;
    for (const [index, word] of planted.entries()) {
      assert.equal(content.includes(word), false, `${word.toString('hex')} (${index}) in ${path}`);
    }
  }
  assert.ok(bytes > 19 * mib);
  // The same look finds them where they are: in a backup that is not encrypted.
  const open = await hostIn(world, {
    settings: { S3_PREFIX: 'fleet/open', RUN_DIR: join(world.directory, 'run-2') },
  });
  await open.backUp('full');
  const all = await Promise.all(
    (await filesBelow(join(world.directory, 's3'))).map((path) => readFile(path)),
  );
  assert.ok(all.some((content) => content.includes(words)));
  assert.ok((await readObject(world, key)).includes('"sealed"'));
});

async function filesBelow(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

test('each of several recipients can restore, by age or by SSH, out of a file or not', async (t) => {
  const world = await smallWorld(t);
  await grow(world, 'shared');
  const { identity, recipient } = await makeIdentity(world.directory, 'identity');
  const ssh = await makeSshKey(world.directory, 'ssh', 'ed25519');
  const list = join(world.directory, 'recipients');
  await writeFile(list, `# both of us\n${ssh} me@home\n`);
  const host = await hostIn(world, { settings: { COMPRESS: 'zstd', ENCRYPT_TO: `${recipient},${list}` } });
  await host.backUp();
  const tree = await treeDigest(world.data);
  for (const own of [identity, join(world.directory, 'ssh')]) {
    const target = join(world.mount, 'restored');
    await (await hostIn(world, { settings: { DECRYPT_WITH: own } })).restore(target);
    assert.deepEqual(await treeDigest(target), tree);
    await shell`btrfs subvolume delete ${target}`;
  }
  const { identity: stranger } = await makeIdentity(world.directory, 'stranger');
  const other = await hostIn(world, { settings: { DECRYPT_WITH: stranger } });
  const before = world.server.requests.length;
  for (const attempt of [() => other.restore(join(world.mount, 'restored')), () => other.verify(true)]) {
    const { kind, message } = await refusal(attempt());
    assert.equal(kind, 'usage');
    assert.match(message, /stranger of DECRYPT_WITH does not open the backup of data of \d{8}T\d{6}Z$/);
  }
  const read = world.server.requests.slice(before).filter(({ key }) => key?.endsWith('.bin'));
  assert.deepEqual(read, [], 'no chunk was asked for');
  assert.equal((await other.verify(false)).findings.length, 0);
});

test('other recipients or another compression in the middle of an upload begin it anew, with a warning', async (t) => {
  const world = await smallWorld(t);
  await grow(world, 'first');
  const old = await makeIdentity(world.directory, 'old');
  const now = await makeIdentity(world.directory, 'now');
  const settings = { ENCRYPT_TO: old.recipient, CONCURRENCY: '1', RETRY_FOR: '1s' };
  const cutOff = async (change: Readonly<Record<string, string>>, parts: number) => {
    world.server.faults.set([
      { fault: 'error', code: 'InternalError', operation: 'UploadPart', skip: parts },
    ]);
    const host = await hostIn(world, { settings: { ...settings, ...change } });
    await host.plan();
    await assert.rejects(host.upload());
    world.server.faults.clear();
    return host.warnings;
  };
  await cutOff({}, 2);
  const changed = await cutOff({ ENCRYPT_TO: now.recipient }, 2);
  assert.match(changed.join('\n'), /data: ENCRYPT_TO changed: the upload begins again/);
  const compressed = { ENCRYPT_TO: now.recipient, COMPRESS: 'zstd:9' };
  assert.match((await cutOff(compressed, 1)).join('\n'), /data: COMPRESS changed: the upload begins again/);
  // Frames of several levels may stand beside each other.
  const host = await hostIn(world, { settings: { ...settings, ...compressed, COMPRESS: 'zstd:1' } });
  await host.backUp();
  assert.doesNotMatch(host.warnings.join('\n'), /begins again/);
  await shell`rm ${old.identity}`;
  const reader = { ...world, settings: { ...world.settings, DECRYPT_WITH: now.identity } };
  await proveIs(reader, await treeDigest(world.data));
});

test('a publish that resumes finds its own manifest, sealed digests included', async (t) => {
  const world = await smallWorld(t);
  await grow(world, 'first');
  const { identity, recipient } = await makeIdentity(world.directory, 'identity');
  const host = await hostIn(world, { settings: { ENCRYPT_TO: recipient, RETRY_FOR: '1s' } });
  world.server.faults.set([
    { fault: 'error', code: 'InternalError', operation: 'PutObject', key: '*current.json' },
  ]);
  await refusal(host.backUp());
  world.server.faults.clear();
  const written = await allKeys(world);
  const { key } = await host.backUp();
  assert.ok(written.includes(key));
  const reader = { ...world, settings: { ...world.settings, DECRYPT_WITH: identity } };
  await proveIs(reader, await treeDigest(world.data));
});

test('a server that wants parts of one size takes encryption, and says no to compression', async (t) => {
  const server = { provider: 'r2' } as const;
  const world = await createWorld(t, { CHUNK_SIZE: '20MiB', SSE: 'none' }, 512 * mib, server);
  const { identity, recipient } = await makeIdentity(world.directory, 'identity');
  // A frame of 3 MiB makes one part with the next, which is larger than the part before.
  const pieces = [randomBytes(8 * mib), Buffer.alloc(2 * mib), randomBytes(12 * mib)];
  await writeFile(join(world.data, 'mixed'), Buffer.concat(pieces));
  const encrypting = { ENCRYPT_TO: recipient, RETRY_FOR: '1s' };
  const { message, hint } = await refusal(
    (await hostIn(world, { settings: { ...encrypting, COMPRESS: 'zstd' } })).backUp(),
  );
  assert.match(message, /takes only parts of one size: .*must have the same length/);
  assert.match(hint ?? '', /COMPRESS=none, or .* a CHUNK_SIZE no larger than PART_SIZE/);
  await (await hostIn(world, { settings: encrypting })).backUp();
  const reader = { ...world, settings: { ...world.settings, DECRYPT_WITH: identity } };
  await proveIs(reader, await treeDigest(world.data));
});
