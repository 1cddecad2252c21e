/** What would make a restore fail is found before a byte of a chunk is fetched, or got round. */
import assert from 'node:assert/strict';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { exitCodeOf } from '../../lib/core/errors.ts';
import { createLoopFilesystem } from '../../testing/harness/loop-filesystem.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { unmount } from '../support/unmount-everywhere.ts';
import { markReceived, refusal, smallWorld, write } from './small-world.ts';
import { hostIn } from './within-process.ts';
import { mustSucceed, readObject, runProcess, type World, writeObject } from './world.ts';

const sizeBytes = 256 * 2 ** 20;

/** How many reads of chunks an attempt makes. */
async function chunkReads(world: World, attempt: () => Promise<unknown>): Promise<number> {
  const from = world.server.requests.length;
  await attempt();
  return world.server.requests
    .slice(from)
    .filter(({ operation, key }) => operation === 'GetObject' && key?.includes('/chunk-')).length;
}

/** A backup that is refused without a read; gives the refusal. */
async function refusedUnread(world: World, target: string, selection = {}) {
  const host = await hostIn(world);
  let error: Awaited<ReturnType<typeof refusal>> | undefined;
  const reads = await chunkReads(world, async () => {
    error = await refusal(host.restore(target, selection));
  });
  assert.equal(reads, 0);
  assert.ok(error);
  return error;
}

async function chainOfTwo(t: TestContext) {
  const world = await smallWorld(t);
  const host = await hostIn(world);
  await write(world, 'a');
  const full = await host.backUp();
  await write(world, 'b');
  const second = await host.backUp();
  assert.equal(second.manifest.kind, 'incremental');
  return { world, host, full, tree: await treeDigest(second.manifest.snapshot.path) };
}

test('below a mount of a directory a chain is restored by the mount of its subvolume, and else refused', async (t) => {
  const { world, host, full, tree } = await chainOfTwo(t);
  const [directory, bound] = [join(world.mount, 'directory'), join(world.directory, 'bound')];
  await mkdir(directory);
  await mkdir(bound);
  await shell`mount --bind ${directory} ${bound}`;
  world.cleanUp(() => unmount(bound));
  await host.restore(join(bound, 'chain'));
  assert.deepEqual(await treeDigest(join(bound, 'chain')), tree);
  const left = (await shell`ls -A ${directory}`).stdout.trim();
  assert.equal(left, 'chain', 'nothing is left beside it');
  const link = join(world.directory, 'another-name');
  await symlink(bound, link);
  await host.restore(join(link, 'by-link'));
  assert.deepEqual(await treeDigest(join(directory, 'by-link')), tree);

  // A bind mount of a subvolume is one of a subvolume.
  const [nested, boundNested] = [join(world.mount, 'nested'), join(world.directory, 'bound-nested')];
  await shell`btrfs subvolume create ${nested}`;
  await mkdir(boundNested);
  await shell`mount --bind ${nested} ${boundNested}`;
  world.cleanUp(() => unmount(boundNested));
  await host.restore(join(boundNested, 'chain'));
  assert.deepEqual(await treeDigest(join(boundNested, 'chain')), tree);

  const device = (await shell`findmnt -n -v -o SOURCE ${world.mount}`).stdout.trim();
  await unmount(world.mount);
  world.cleanUp(() => shell`mount ${device} ${world.mount}`);
  const error = await refusedUnread(world, join(bound, 'second'));
  assert.match(
    error.message,
    /bound is below \S+bound, a mount of the directory \/directory, where btrfs receive does not find what an increment builds on$/,
  );
  assert.match(
    error.hint ?? '',
    /^mount the filesystem itself, as with: mount -o subvolid=5 \/dev\/loop\d+ DIRECTORY/,
  );
  assert.equal(exitCodeOf(error), 2);
  await host.restore(join(bound, 'full'), { manifest: full.key });
});

test('a mount that does not take attributes of the backup is refused, with the command that mends it', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'plain');
  await write(world, 'packed', 'shared');
  const host = await hostIn(world);
  const plain = await host.backUp();
  assert.deepEqual(plain.manifest.stream?.features, []);
  await shell`btrfs property set ${join(world.data, 'packed')} compression zstd`;
  await shell`setfacl -m u:1000:r ${join(world.data, 'shared')}`;
  const second = await host.backUp();
  assert.deepEqual(second.manifest.stream?.features, ['acl', 'compression']);
  const tree = await treeDigest(second.manifest.snapshot.path);
  const there = await createLoopFilesystem({
    name: 'attributes',
    sizeBytes,
    mountOptions: ['nodatacow', 'noacl'],
  });
  world.cleanUp(() => there.remove());
  const target = join(there.mountPoint, 'restored');
  const noProperty = await refusedUnread(world, target);
  assert.match(
    noProperty.message,
    /^a compression property of this backup cannot be set below \S+, which is mounted with nodatacow$/,
  );
  const mend = async (hint: string | undefined) => {
    const [command = ''] = (hint ?? '').split(', or');
    assert.match(command, /^mount -o remount,\w+ \/\S+$/);
    await shell`bash -c ${command}`;
  };
  await host.restore(target, { manifest: plain.key });
  await shell`btrfs subvolume delete ${target}`;
  await mend(noProperty.hint);
  const noAcl = await refusedUnread(world, target);
  assert.match(noAcl.message, /^an ACL of this backup cannot be set below \S+, which is mounted with noacl$/);
  await mend(noAcl.hint);
  await host.restore(target);
  assert.deepEqual(await treeDigest(target), tree);
});

test('small metadata nodes are refused where something does not fit them; of older manifests a warning says so', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  await shell`setfattr -n user.large -v ${'x'.repeat(3934 - 4)} ${join(world.data, 'a')}`;
  const host = await hostIn(world);
  const fits = await host.backUp();
  assert.equal(fits.manifest.stream?.least_node_size, 4096);
  await shell`setfattr -n user.large -v ${'x'.repeat(3935 - 4)} ${join(world.data, 'a')}`;
  const large = await host.backUp('full');
  assert.equal(large.manifest.stream?.least_node_size, 4097);
  await shell`setfattr -x user.large ${join(world.data, 'a')}`;
  await shell`ln -s ${'y'.repeat(3950)} ${join(world.data, 'link')}`;
  const link = await host.backUp('full');
  assert.equal(link.manifest.stream?.least_node_size, 4097);

  const image = join(world.directory, 'small-nodes');
  const there = join(world.directory, 'there');
  await mkdir(there);
  await shell`truncate -s ${sizeBytes} ${image}`;
  await shell`mkfs.btrfs -q -n 4096 ${image}`;
  await shell`mount -o loop ${image} ${there}`;
  world.cleanUp(() => unmount(there));
  const target = join(there, 'restored');
  await host.restore(target, { manifest: fits.key });
  await shell`btrfs subvolume delete ${target}`;
  for (const { key } of [large, link]) {
    const error = await refusedUnread(world, target, { manifest: key });
    assert.match(error.message, /needs metadata nodes of 4097 bytes, and those of \S+there have 4096$/);
  }
  for (const { key } of [large, link]) {
    const document = JSON.parse(await readObject(world, key));
    delete document.stream.least_node_size;
    delete document.stream.features;
    await writeObject(world, key, JSON.stringify(document));
    const old = await hostIn(world);
    const error = await refusal(old.restore(target, { manifest: key }));
    assert.match(
      old.warnings.join('\n'),
      /there has metadata nodes of 4096 bytes, which large extended attributes do not fit: .* will fail/,
    );
    assert.match(
      error.message,
      /^btrfs receive failed: an extended attribute or symbolic link does not fit the metadata nodes/,
    );
  }
});

test('subvolumes on the filesystem that have a received UUID of the chain do no harm', async (t) => {
  const { world, host, full, tree } = await chainOfTwo(t);
  const there = await createLoopFilesystem({ name: 'received', sizeBytes });
  world.cleanUp(() => there.remove());
  const { path, name } = full.manifest.snapshot;
  await shell`btrfs send -q ${path} | btrfs receive -q ${there.mountPoint}`;
  const received = join(there.mountPoint, name);
  // Of those the first that carries the UUID would be taken: one that was emptied, and has it all the same.
  const emptied = join(there.mountPoint, 'emptied');
  await shell`btrfs subvolume snapshot -r ${received} ${emptied}`;
  await shell`btrfs subvolume delete ${received}`;
  const { uuid } = full.manifest.snapshot;
  await shell`btrfs subvolume create ${received}`;
  await markReceived(received, uuid ?? undefined);
  const target = join(there.mountPoint, 'restored');
  await host.restore(target);
  assert.deepEqual(await treeDigest(target), tree);
});

test('a directory in which nothing can be made is refused', async (t) => {
  const { world } = await chainOfTwo(t);
  const directory = join(world.mount, 'fixed');
  await mkdir(directory);
  await shell`chattr +i ${directory}`;
  world.cleanUp(() => shell`chattr -i ${directory}`);
  const error = await refusedUnread(world, join(directory, 'restored'));
  assert.match(error.message, /^cannot restore into \S+fixed/);
});

test('btrfs-progs before 6.2 refuse streams of protocol 2 before anything is read, and a thaw warns of it', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  const { key } = await (await hostIn(world, { settings: { COMPRESSED_SEND: 'true' } })).backUp();
  assert.equal(JSON.parse(await readObject(world, key)).stream.protocol, 2);
  const bin = join(world.directory, 'bin');
  await mkdir(bin);
  const real = (await shell`which btrfs`).stdout.trim();
  await writeFile(
    join(bin, 'btrfs'),
    `#!/bin/bash\n[ "$1" = --version ] && { echo btrfs-progs v6.1; exit; }\n[ "$1" = receive ] && { echo 'ERROR: stream version 2 not supported' >&2; exit 1; }\nexec ${real} "$@"\n`,
  );
  await chmod(join(bin, 'btrfs'), 0o755);
  const config = await world.settingsFile();
  const old = (script: string, ...args: string[]) =>
    runProcess('scripts/tsx.sh', [`scripts/${script}`, '--config', config, '--subvolume', 'data', ...args], {
      PATH: `${bin}:${process.env.PATH}`,
    });
  const target = join(world.mount, 'restored');
  const reads = await chunkReads(world, async () => {
    const restored = await old('restore.ts', '--target', target);
    assert.equal(restored.exitCode, 1, restored.stderr);
    assert.match(
      restored.stderr,
      /streams of protocol 2 need btrfs-progs 6\.2 or newer to be received, and here is 6\.1; update btrfs-progs, or restore on another host/,
    );
  });
  assert.equal(reads, 0);
  const thawed = await old('thaw.ts');
  assert.equal(thawed.exitCode, 0, thawed.stderr);
  assert.match(thawed.stderr, /this chain cannot be restored on this host: streams of protocol 2/);
  const snapshot = await runProcess(
    'scripts/tsx.sh',
    ['scripts/backup.ts', '--config', config, '--kind', 'full', '--json'],
    {
      PATH: `${bin}:${process.env.PATH}`,
    },
  );
  assert.equal(snapshot.exitCode, 0, snapshot.stderr);
  const manifest = JSON.parse(
    await readObject(world, JSON.parse(snapshot.stdout).subvolumes[0].manifest_key),
  );
  assert.equal(manifest.stream.protocol, 1, 'auto sends what this host could receive');
  await mustSucceed(world, 'restore.ts', '--subvolume', 'data', '--target', target, '--manifest', key);
});
