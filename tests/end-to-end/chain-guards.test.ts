/** What is looked at before anything is built on a chain, and reported where it is odd: its links, its owner, its pointer, what it lacks. */
import assert from 'node:assert/strict';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { CreateBucketCommand, DeleteObjectCommand } from '@aws-sdk/client-s3';
import { exitCodeOf } from '../../lib/core/errors.ts';
import type { Manifest } from '../../lib/core/format/manifest.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { edit, proveIs, refusal, smallWorld, write } from './small-world.ts';
import { hostIn } from './within-process.ts';
import { createWorld, readObject, type World, writeObject } from './world.ts';

test('nothing builds on a chain that has lost a chunk, with or without IF_DUE', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  const host = await hostIn(world);
  const full = await host.backUp();
  await write(world, 'b');
  await host.plan();
  const lose = async ({ chunks }: Manifest) => {
    await world.client.send(new DeleteObjectCommand({ Bucket: 'backups', Key: chunks[0]?.key ?? '' }));
  };
  await lose(full.manifest);
  const second = await host.backUp();
  assert.equal(second.manifest.kind, 'full', 'what was begun on it is given up');
  await lose(second.manifest);
  assert.match(
    (await refusal(host.plan('incremental'))).message,
    /is not possible: the last backup cannot be restored/,
  );
  const third = await host.backUp();
  assert.deepEqual([third.manifest.kind, third.reason], ['full', 'the last backup cannot be restored']);
  await proveIs(world, await treeDigest(third.manifest.snapshot.path));
});

test('a chain that is damaged during the upload is not built on either', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  const host = await hostIn(world);
  const { manifest } = await host.backUp();
  await write(world, 'b');
  await host.plan();
  await host.upload();
  await world.client.send(new DeleteObjectCommand({ Bucket: 'backups', Key: manifest.chunks[0]?.key ?? '' }));
  const { publishBackup } = await import('../../lib/stage/backup/publish/publish.ts');
  const error = await refusal(publishBackup(host.context, { name: 'data', path: world.data }));
  assert.match(error.message, /^nothing of data was published: its chain has been damaged since/);
  assert.equal(exitCodeOf(error), 4);
  assert.equal((await host.backUp()).manifest.kind, 'full');
});

test('a restore names the nested subvolumes that it does not bring back, and which backups have them', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  await mkdir(join(world.data, 'lib'));
  for (const name of ['lib/docker', 'photos']) await shell`btrfs subvolume create ${join(world.data, name)}`;
  const photos = await hostIn(world, { name: 'photos', path: join(world.data, 'photos') });
  const { manifest: backedUp } = await photos.backUp();
  const host = await hostIn(world);
  await host.backUp();
  const { missing } = await host.restore(join(world.mount, 'restored'));
  assert.deepEqual(missing, [
    { path: 'lib/docker', backup: null },
    { path: 'photos', backup: { subvolume: 'photos', created_at: backedUp.created_at } },
  ]);
});

/** Changes a manifest in the bucket. */
async function rewrite(
  world: World,
  key: string,
  change: (snapshot: Record<string, unknown>) => void,
): Promise<void> {
  const manifest = JSON.parse(await readObject(world, key));
  change(manifest.snapshot);
  await writeObject(world, key, JSON.stringify(manifest));
}

test('verify checks which state of its parent a backup builds on, as far as manifests show; DEEP=1 asks the streams', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a', 'b');
  const host = await hostIn(world);
  const full = await host.backUp();
  assert.ok(full.manifest.snapshot.transid, 'the state is recorded');
  const { path } = full.manifest.snapshot;
  await edit(path, () => rm(join(path, 'a')));
  // As an earlier version would have resumed it: it recorded no state.
  const { readStreamHead } = await import('../../lib/edge/btrfs/read-stream-head.ts');
  const { transid } = await readStreamHead(path);
  await rewrite(world, full.key, (snapshot) => Object.assign(snapshot, { transid }));
  await write(world, 'c');
  const second = await host.backUp();
  assert.equal(second.manifest.snapshot.parent_transid, transid);

  await rewrite(world, full.key, (snapshot) =>
    Object.assign(snapshot, { transid: full.manifest.snapshot.transid }),
  );
  const { findings } = await host.verify();
  assert.deepEqual(
    findings.map(({ object }) => object),
    [second.key],
  );
  assert.match(
    findings[0]?.problem ?? '',
    /was sent against state \d+ of its parent snapshot, but .* holds state/,
  );
  const target = join(world.mount, 'restored');
  assert.equal(exitCodeOf(await refusal(host.restore(target))), 4);

  for (const { key } of [full, second]) {
    await rewrite(world, key, (snapshot) => {
      delete snapshot.transid;
      delete snapshot.parent_transid;
    });
  }
  const shallow = await host.verify();
  assert.deepEqual([shallow.findings, shallow.unproven], [[], 1]);
  const deep = await host.verify(true);
  assert.equal(deep.unproven, 0);
  assert.match(deep.findings[0]?.problem ?? '', /its stream builds on state \d+ of its parent snapshot/);
  const error = await refusal(host.restore(target));
  assert.match(error.message, /cannot be restored: it builds on state/);
  assert.equal(exitCodeOf(error), 4);
});

test('another host with the same name and prefix is refused, due or not, unless it takes the prefix over', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  const first = await hostIn(world);
  const { manifest } = await first.backUp();
  assert.equal(manifest.host_id, 'one');
  assert.match(manifest.filesystem_uuid ?? '', /^[0-9a-f-]{36}$/);
  const other = await createWorld(t, {}, 128 * 2 ** 20);
  const theirs = { SNAPSHOT_DIR: other.snapshots, RUN_DIR: join(other.directory, 'run') };
  const hosts = {
    'another machine': await hostIn(world, { settings: theirs, path: other.data, hostId: 'two' }),
    'another filesystem': await hostIn(world, { settings: theirs, path: other.data }),
    'a clone with the same machine-id': await hostIn(world, {
      settings: theirs,
      path: other.data,
      hostName: 'clone-of-host-1',
    }),
  };
  for (const host of Object.values(hosts)) {
    for (const ifDue of [false, true]) {
      const error = await refusal(host.plan('auto', ifDue));
      assert.equal(exitCodeOf(error), 1);
      assert.match(error.message, /the last backup of data under fleet\/host-1\/ .*host-1/);
      assert.match(error.hint ?? '', /own S3_PREFIX, or take this one over with KIND=full/);
    }
  }
  const { manifest: taken } = await hosts['another machine'].backUp('full');
  assert.equal(taken.host_id, 'two');
  assert.match(
    (await refusal(first.plan('auto', true))).message,
    /is of another machine that is called host-1 too/,
  );
});

test('a host whose name has changed does not begin anew under another prefix silently', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  const before = await hostIn(world);
  await before.backUp();
  const { S3_PREFIX: _, ...withoutPrefix } = world.settings;
  const renamed = await hostIn(world, { settings: { S3_PREFIX: 'fedora-38' } });
  const unset = { ...renamed.context, settings: { ...renamed.context.settings, S3_PREFIX: undefined } };
  const { prepareSnapshot } = await import('../../lib/stage/backup/snapshot.ts');
  const subvolume = { name: 'data', path: world.data };
  const request = { kind: 'auto', ifDue: true, dryRun: false } as const;
  const error = await refusal(prepareSnapshot(unset, subvolume, request));
  assert.match(
    error.message,
    /the last backup of data from here is under fleet\/host-1\/, and there is none under fedora-38\//,
  );
  assert.match(error.hint ?? '', /set S3_PREFIX=fleet\/host-1/);
  assert.ok(withoutPrefix, 'only the default is doubted');
  const asked = await renamed.backUp();
  assert.equal(asked.manifest.kind, 'full');
  assert.match(renamed.warnings.join('\n'), /a new chain begins/);
});

test('another bucket, which has nothing of this subvolume, is named before all is stored again', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  await (await hostIn(world)).backUp();
  await world.client.send(new CreateBucketCommand({ Bucket: 'elsewhere' }));
  const moved = await hostIn(world, { settings: { S3_BUCKET: 'elsewhere' } });
  await moved.plan('auto', true, true);
  const { S3_BUCKET: bucket, AWS_ENDPOINT_URL_S3: server } = world.settings;
  assert.deepEqual(moved.warnings, [
    `the last backup of data from here is in bucket ${bucket} (${server}), and there is none in elsewhere: a new chain begins`,
  ]);
});

test('a host that nothing ties to the last backup does not read that it is not due', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  const { manifest } = await (await hostIn(world)).backUp();
  await shell`btrfs subvolume delete ${manifest.snapshot.path}`;
  const remembering = await (await hostIn(world)).plan('auto', true);
  assert.ok('next' in remembering, 'RUN_DIR remembers it: the next one is full when it is due');
  const forgetful = await hostIn(world, { settings: { RUN_DIR: join(world.directory, 'another-run') } });
  const planned = await forgetful.plan('auto', true);
  assert.equal('kind' in planned && planned.kind, 'full');
});

test('a glob that matches snapshots of two subvolumes is refused, with their names; after a rollback it is not', async (t) => {
  const world = await smallWorld(t);
  const theirs = join(world.mount, 'theirs');
  await mkdir(theirs);
  const take = (of: string, name: string) => shell`btrfs subvolume snapshot -r ${of} ${join(theirs, name)}`;
  await take(world.data, 'home.1');
  const { prepareSnapshot } = await import('../../lib/stage/backup/snapshot.ts');
  const { context, warnings } = await hostIn(world);
  const subvolume = { name: 'data', snapshots: `${theirs}/home.*` };
  const plan = () => prepareSnapshot(context, subvolume, { kind: 'auto', ifDue: false, dryRun: true });
  await plan();
  const old = join(world.mount, 'data-before');
  await shell`mv ${world.data} ${old}`;
  await shell`btrfs subvolume snapshot ${join(theirs, 'home.1')} ${world.data}`;
  await shell`btrfs subvolume create ${join(world.data, 'vm')}`;
  await take(world.data, 'home.2');
  await plan();
  assert.match(warnings.join('\n'), /nested subvolumes are not part of this backup: \S+\/data\/vm; add them/);
  const media = join(world.mount, 'media');
  await shell`btrfs subvolume create ${media}`;
  await take(media, 'home.media.1');
  const { message } = await refusal(plan());
  assert.match(message, /matches snapshots of different subvolumes: data-before, media$/);
});

test('what is odd about the last backup is reported: no pointer, an old one, a chunk that was replaced', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  const host = await hostIn(world);
  const { manifest } = await host.backUp();
  const pointerKey = 'fleet/host-1/subvol/data/current.json';
  const pointer = await readObject(world, pointerKey);
  await writeObject(world, manifest.chunks[0]?.key ?? '', 'x'.repeat(manifest.chunks[0]?.size ?? 0));
  await write(world, 'b');
  const { prepareSnapshot } = await import('../../lib/stage/backup/snapshot.ts');
  const request = { kind: 'auto', ifDue: false, dryRun: true } as const;
  const planned = await prepareSnapshot(host.context, { name: 'data', path: world.data }, request);
  assert.equal('kind' in planned && planned.kind, 'full');
  assert.match(
    'reason' in planned ? planned.reason : '',
    /^the chain may not be restorable: chunk .* was replaced/,
  );
  await host.backUp('incremental');
  assert.match(host.warnings.join('\n'), /chunk .* was replaced.*make verify DEEP=1 settles it/);
  await writeObject(world, pointerKey, pointer);
  await host.verify();
  assert.match(
    host.warnings.join('\n'),
    /current\.json names .*, but .* builds on that: .* or the pointer is an old one/,
  );
  await world.client.send(new DeleteObjectCommand({ Bucket: 'backups', Key: pointerKey }));
  const { reason } = await host.backUp();
  assert.equal(reason, 'current.json is missing, although there are 2 backups');
});

test('a snapshot of ours that waits is no snapshot of theirs, when SUBVOLUMES says otherwise where they come from', async (t) => {
  const world = await smallWorld(t);
  await write(world, 'a');
  const host = await hostIn(world);
  await shell`btrfs subvolume snapshot -r ${world.data} ${join(world.snapshots, 'theirs')}`;
  await host.plan();
  const { prepareSnapshot } = await import('../../lib/stage/backup/snapshot.ts');
  const adopting = { name: 'data', snapshots: `${world.snapshots}/*` };
  const planned = await prepareSnapshot(host.context, adopting, {
    kind: 'auto',
    ifDue: false,
    dryRun: false,
  });
  assert.equal('snapshotPath' in planned && planned.snapshotPath, join(world.snapshots, 'theirs'));
});
