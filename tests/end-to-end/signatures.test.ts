/** Signed backups: who can write to the bucket, and has no key, can neither change one nor pass an older one off as the last. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { makeIdentity, makeSshKey } from '../support/age-keys.ts';
import { proveIs, refusal, smallWorld } from './small-world.ts';
import { hostIn } from './within-process.ts';
import { allKeys, pointerKey, readObject, type World, writeObject } from './world.ts';

/** A world with a full and two incremental backups, signed by a key that the file of signers allows. */
async function signedWorld(world: World) {
  const key = await makeSshKey(world.directory, 'key', 'ed25519');
  const signers = join(world.directory, 'signers');
  await writeFile(signers, `nas ${key}\n`);
  const settings = { SIGN_WITH: join(world.directory, 'key'), VERIFY_SIGNERS: signers, RETRY_FOR: '1s' };
  const host = await hostIn(world, { settings });
  const backups: { readonly key: string; readonly tree: unknown }[] = [];
  const pointers: string[] = [];
  for (const name of ['a', 'b', 'c']) {
    await writeFile(join(world.data, name), randomBytes(100_000));
    const { key: manifestKey } = await host.backUp();
    backups.push({ key: manifestKey, tree: await treeDigest(world.data) });
    pointers.push(await readObject(world, pointerKey));
  }
  const [full, second, last] = backups;
  assert.ok(full && second && last);
  const reader = { ...world, settings: { ...world.settings, VERIFY_SIGNERS: signers } };
  return { host, settings, reader, signers, full, second, last, pointers };
}

test('what is not signed as it has to be is neither restored nor sound, and nothing of it is read', async (t) => {
  const world = await smallWorld(t);
  const { host, reader, full, second, last, pointers } = await signedWorld(world);
  const restored = join(world.mount, 'restored');
  await proveIs(reader, last.tree);
  assert.deepEqual((await host.verify(false)).findings, []);

  /** Changes an object, looks, and puts it back. */
  const whileChanged = async (key: string, content: string | undefined, look: () => Promise<void>) => {
    const before = await readObject(world, key);
    if (content === undefined)
      await world.client.send(new DeleteObjectCommand({ Bucket: 'backups', Key: key }));
    else await writeObject(world, key, content);
    await look();
    await writeObject(world, key, before);
  };
  const changed = (text: string) => text.replace('"host": "host-1"', '"host": "host-2"');
  for (const [what, key, content, says] of [
    [
      'the last is not signed',
      `${last.key}.sig`,
      undefined,
      /incremental\/manifest-\S+ cannot be trusted: it is not signed$/,
    ],
    [
      'the full one is not signed',
      `${full.key}.sig`,
      undefined,
      /full\/manifest-\S+ cannot be trusted: it is not signed$/,
    ],
    [
      'the last was changed',
      last.key,
      changed(await readObject(world, last.key)),
      /its signature is not of these bytes/,
    ],
    [
      'what it builds on was changed',
      second.key,
      changed(await readObject(world, second.key)),
      /not of these bytes/,
    ],
    [
      'the signature is that of another',
      `${last.key}.sig`,
      await readObject(world, `${full.key}.sig`),
      /not of these bytes/,
    ],
    ['the signature is none', `${last.key}.sig`, 'x', /cannot be trusted: its signature is none$/],
  ] as const) {
    await t.test(what, async () => {
      await whileChanged(key, content, async () => {
        const before = world.server.requests.length;
        const { kind, message } = await refusal(host.restore(restored));
        assert.equal(kind, 'damage');
        assert.match(message, says);
        const asked = world.server.requests
          .slice(before)
          .filter(({ key: object }) => object?.endsWith('.bin'));
        assert.deepEqual(asked, []);
        const { findings } = await host.verify(false);
        assert.ok(
          findings.some(({ problem }) => problem.includes('cannot be trusted')),
          JSON.stringify(findings),
        );
      });
    });
  }

  await t.test('a pointer that was put back to an older backup', async () => {
    await whileChanged(pointerKey, pointers[1], async () => {
      const { kind, message, hint } = await refusal(host.restore(restored));
      assert.equal(kind, 'damage');
      assert.ok(message.includes(`names ${second.key}, but ${last.key} is newer and signed`), message);
      assert.match(hint ?? '', /MANIFEST=/);
      const { findings } = await host.verify(false);
      assert.match(
        findings[0]?.problem ?? '',
        /is newer and signed: it is an older pointer, or a backup is being published/,
      );
      // Whoever says which one is meant gets it.
      await proveIs(reader, second.tree, second.key);
      await proveIs(reader, last.tree, last.key);
    });
  });

  await t.test('a newer backup that no one has signed is passed over, with a warning', async () => {
    const planted = last.key.replace(/\d{8}T\d{6}Z/, '20990101T000000Z');
    const stamp = /\d{8}T\d{6}Z/.exec(last.key)?.[0] ?? '';
    await writeObject(
      world,
      planted,
      (await readObject(world, last.key)).replaceAll(stamp, '20990101T000000Z'),
    );
    await host.restore(restored);
    assert.match(
      host.warnings.join('\n'),
      /passing over \S+20990101T000000Z\.json, .*: cannot be trusted: it is not signed/,
    );
    assert.deepEqual(await treeDigest(restored), last.tree);
  });
});

test('without VERIFY_SIGNERS a backup is restored whoever signed it, and with another signer none is', async (t) => {
  const world = await smallWorld(t);
  const { last } = await signedWorld(world);
  await proveIs(world, last.tree);
  const other = await makeSshKey(world.directory, 'other', 'ed25519');
  const signers = join(world.directory, 'others');
  await writeFile(signers, `stranger ${other}\n`);
  const host = await hostIn(world, { settings: { VERIFY_SIGNERS: signers } });
  const { kind, message } = await refusal(host.restore(join(world.mount, 'restored')));
  assert.equal(kind, 'damage');
  assert.match(message, /cannot be trusted: no signer in .*others has signed it$/);
});

test('a publish that stopped behind its signature goes on, whatever kind of key has made it', async (t) => {
  const world = await smallWorld(t);
  // Such a signature is another one each time.
  const publicKey = await makeSshKey(world.directory, 'ecdsa', 'ecdsa');
  const settings = { SIGN_WITH: join(world.directory, 'ecdsa'), RETRY_FOR: '1s' };
  const host = await hostIn(world, { settings });
  const failAtManifest = () =>
    world.server.faults.set([
      { fault: 'error', code: 'InternalError', operation: 'PutObject', key: '*manifest-*.json' },
    ]);
  await writeFile(join(world.data, 'a'), randomBytes(1000));
  failAtManifest();
  await refusal(host.backUp());
  world.server.faults.clear();
  const signatures = (await allKeys(world)).filter((key) => key.endsWith('.sig'));
  assert.equal(signatures.length, 1);
  const { key } = await host.backUp();
  assert.equal(signatures[0], `${key}.sig`);
  // One of other bytes counts for nothing where no manifest is.
  await writeFile(join(world.data, 'b'), randomBytes(1000));
  failAtManifest();
  await refusal(host.backUp());
  world.server.faults.clear();
  const [theirs = ''] = (await allKeys(world)).filter(
    (each) => each.endsWith('.sig') && each !== signatures[0],
  );
  await writeObject(world, theirs, 'theirs');
  assert.equal(`${(await host.backUp()).key}.sig`, theirs);
  assert.match(await readObject(world, theirs), /^-----BEGIN SSH SIGNATURE-----/);
  const signers = join(world.directory, 'signers');
  await writeFile(signers, `nas ${publicKey}\n`);
  const elsewhere = await hostIn(world, { settings: { VERIFY_SIGNERS: signers } });
  assert.deepEqual((await elsewhere.verify(false)).findings, []);
});

test('no backup builds on a chain that a restore would refuse for want of a signature', async (t) => {
  const world = await smallWorld(t);
  const publicKey = await makeSshKey(world.directory, 'key', 'ed25519');
  const signers = join(world.directory, 'signers');
  await writeFile(signers, `nas ${publicKey}\n`);
  const backUp = async (name: string, settings: Readonly<Record<string, string>>) => {
    await writeFile(join(world.data, name), randomBytes(1000));
    const host = await hostIn(world, { settings: { RETRY_FOR: '1s', ...settings } });
    const { key, manifest, reason } = await host.backUp();
    return { key, kind: manifest.kind, reason, warnings: host.warnings.join('\n') };
  };
  const signing = { SIGN_WITH: join(world.directory, 'key') };
  const demanding = { ...signing, VERIFY_SIGNERS: signers };
  const full = await backUp('a', {});
  assert.equal(full.warnings, '');
  // Whoever signs may have no restore that demands it.
  const signed = await backUp('b', signing);
  assert.equal(signed.kind, 'incremental');
  assert.match(
    signed.warnings,
    /cannot be restored where VERIFY_SIGNERS is set, because .*full\/.* is not signed; KIND=full/,
  );
  const again = await backUp('c', demanding);
  assert.deepEqual([again.kind, full.kind], ['full', 'full'], again.reason);
  assert.match(
    again.warnings,
    /the last backup cannot be restored: .*full\/.* cannot be trusted: it is not signed/,
  );
  const next = await backUp('d', demanding);
  assert.deepEqual([next.kind, next.warnings], ['incremental', '']);
  await world.client.send(new DeleteObjectCommand({ Bucket: 'backups', Key: `${next.key}.sig` }));
  const last = await backUp('e', demanding);
  assert.equal(last.kind, 'full');
  assert.match(last.reason, /the last backup in the bucket is not signed as VERIFY_SIGNERS demands/);
  const reader = { ...world, settings: { ...world.settings, VERIFY_SIGNERS: signers } };
  await proveIs(reader, await treeDigest(world.data));
});

test('what was restored without its signature is not built on: the next backup is a full one, and says why', async (t) => {
  const world = await smallWorld(t);
  const publicKey = await makeSshKey(world.directory, 'key', 'ed25519');
  const signers = join(world.directory, 'signers');
  await writeFile(signers, `nas ${publicKey}\n`);
  const unsigned = await hostIn(world, { settings: { RETRY_FOR: '1s' } });
  const demanding = await hostIn(world, {
    settings: { SIGN_WITH: join(world.directory, 'key'), VERIFY_SIGNERS: signers, RETRY_FOR: '1s' },
  });
  const old = await unsigned.backUp();
  await demanding.backUp();
  // As `make restore CONTINUE=1 SET="VERIFY_SIGNERS="` does it, moved into place.
  const target = join(world.mount, 'restored');
  await unsigned.restore(target, { manifest: old.key }, { continuesChain: true });
  await shell`btrfs subvolume delete ${world.data}`;
  await rename(target, world.data);
  const refused = await refusal(demanding.plan('incremental'));
  const why = 'the backup that the subvolume was restored from is not signed as VERIFY_SIGNERS demands';
  assert.ok(refused.message.endsWith(`is not possible: ${why}`), refused.message);
  const next = await demanding.backUp();
  assert.deepEqual([next.manifest.kind, next.reason], ['full', why]);
  await writeFile(join(world.data, 'later'), randomBytes(1000));
  assert.equal((await demanding.backUp()).manifest.parent_manifest, next.key);
  const reader = { ...world, settings: { ...world.settings, VERIFY_SIGNERS: signers } };
  await proveIs(reader, await treeDigest(world.data));
});

test('a manifest that another writer put there is not signed', async (t) => {
  const world = await smallWorld(t);
  await makeSshKey(world.directory, 'key', 'ed25519');
  const host = await hostIn(world, {
    settings: { SIGN_WITH: join(world.directory, 'key'), RETRY_FOR: '1s' },
  });
  await writeFile(join(world.data, 'a'), randomBytes(1000));
  world.server.faults.set([
    { fault: 'error', code: 'InternalError', operation: 'PutObject', key: '*current.json' },
  ]);
  await refusal(host.backUp());
  world.server.faults.clear();
  const key = (await allKeys(world)).find((each) => each.endsWith('.json')) ?? assert.fail();
  const written = await readObject(world, key);
  // Of the same chunks, but to be restored as something else.
  await writeObject(world, key, written.replace('"protocol": 2', '"protocol": 1'));
  assert.match((await refusal(host.backUp())).message, /another writer was first: .*\.json exists already/);
  // An earlier version of this tool, or of the host's name, may have written it.
  await writeObject(world, key, written.replace(/"host": ".*"/, '"host": "before"'));
  await host.backUp();
  assert.match(await readObject(world, key), /"host": "before"/);
});

test('a backup that is less protected than the last one warns, once', async (t) => {
  const world = await smallWorld(t);
  const { recipient } = await makeIdentity(world.directory, 'identity');
  await makeSshKey(world.directory, 'key', 'ed25519');
  const protecting = { ENCRYPT_TO: recipient, SIGN_WITH: join(world.directory, 'key') };
  const warningsWith = async (settings: Readonly<Record<string, string>>) => {
    await writeFile(join(world.data, 'file'), randomBytes(1000));
    const host = await hostIn(world, { settings: { RETRY_FOR: '1s', ...settings } });
    const { manifest } = await host.backUp();
    return { warnings: host.warnings, kind: manifest.kind };
  };
  assert.deepEqual(await warningsWith(protecting), { warnings: [], kind: 'full' });
  assert.deepEqual(await warningsWith(protecting), { warnings: [], kind: 'incremental' });
  const { warnings } = await warningsWith({});
  assert.deepEqual(
    warnings.map((warning) =>
      /the last backup is (\w+), .* because (\w+) is not set/.exec(warning)?.slice(1),
    ),
    [
      ['encrypted', 'ENCRYPT_TO'],
      ['signed', 'SIGN_WITH'],
    ],
  );
  assert.deepEqual((await warningsWith({})).warnings, []);
});
