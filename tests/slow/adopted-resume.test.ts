/** Backups of another program's snapshots that are interrupted or given up: the snapshots stay, and are found again. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { startScript, whileRunning } from '../end-to-end/running-script.ts';
import {
  backedUp,
  change,
  lastManifest,
  makeBackup,
  proveIs,
  type TheirWorld,
  theirSnapshots,
} from '../end-to-end/their-snapshots.ts';
import { slowUpload, storedBytes } from '../end-to-end/under-way.ts';
import { createWorld, errorLines, namesIn, runProcess } from '../end-to-end/world.ts';

const mib = 2 ** 20;

/** An upload with some parts stored and a chunk whole, killed. */
async function killUpload({ world, settings }: TheirWorld): Promise<void> {
  world.server.faults.set([slowUpload]);
  const before = world.server.requests.length;
  const config = await world.settingsFile(settings);
  const upload = startScript(world, config, 'send-chunk-upload.ts');
  await whileRunning(upload, 'a chunk whole', () => {
    const since = world.server.requests.slice(before);
    return since.some(({ operation, status }) => operation === 'CompleteMultipartUpload' && status === 200);
  });
  upload.child.kill('SIGKILL');
  await upload.ended;
  world.server.faults.clear();
}

/** The first stage alone, for the next backup. */
async function prepare({ world, settings }: TheirWorld): Promise<void> {
  const config = await world.settingsFile(settings);
  const result = await runProcess('make', ['snapshot', `CONFIG=${config}`]);
  assert.equal(result.exitCode, 0, result.stderr);
}

test('btrbk: an upload that was killed ends first, lost run files do no harm, and nothing of theirs goes', async (t) => {
  const world = await createWorld(t);
  const at = (name: string) => join(world.mount, 'btrbk_snapshots', name);
  // Theirs lie beside ours, and one of them is even called as ours would be.
  await mkdir(at(''));
  const adopted = theirSnapshots(world, 'btrbk_snapshots/home.*');
  const theirs = { ...adopted, settings: { ...adopted.settings, SNAPSHOT_DIR: at(''), KEEP_SNAPSHOTS: '1' } };
  await theirs.take(at('home__20200101T000000Z__full'));
  await theirs.take(at('home__20200102T000000Z__full'));
  await change(world, 'random', randomBytes(60 * mib));
  await theirs.take(at('home.20261125T0200'));

  await t.test('a newer one waits until the one that was begun is published', async () => {
    await prepare(theirs);
    await killUpload(theirs);
    await change(world, 'a');
    await theirs.take(at('home.20261126T0200'));
    const before = world.server.requests.length;
    const result = await makeBackup(theirs);
    assert.match(result.stdout, /resuming unfinished \S+\/home\.20261125T0200/);
    assert.ok(storedBytes(world.server, before) < 55 * mib, 'what was stored is not sent again');
    assert.equal((await lastManifest(theirs)).snapshot.name, 'home.20261125T0200');
    await proveIs(theirs, at('home.20261125T0200'));
    const next = await backedUp(theirs);
    assert.deepEqual([next.kind, next.snapshot.name], ['incremental', 'home.20261126T0200']);
  });

  await t.test('with lost run files the same snapshot is sent under another time', async () => {
    await change(world, 'more', randomBytes(60 * mib));
    await theirs.take(at("home.-it's ünusual *"));
    await prepare(theirs);
    await killUpload(theirs);
    await rm(world.runDirectory, { recursive: true });
    // Other bytes than those that lie under the time of the snapshot.
    const result = await makeBackup(theirs, { CHUNK_SIZE: '16MiB' });
    assert.equal(result.exitCode, 0, result.stderr);
    const { kind, snapshot } = await lastManifest(theirs);
    assert.deepEqual([kind, snapshot.name], ['incremental', "home.-it's ünusual *"]);
    await proveIs(theirs, at("home.-it's ünusual *"));
  });

  await t.test(
    'a backup that is given up leaves the snapshot, and so does thinning ours beside it',
    async () => {
      await change(world, 'b');
      await theirs.take(at('home.20261128T0200'));
      await prepare(theirs);
      const again = await makeBackup(theirs, {}, '--kind', 'full');
      assert.equal(again.exitCode, 0, again.stderr);
      assert.match(again.stderr, /an unfinished backup is given up: it is incremental/);
      const before = await lastManifest(theirs);
      const same = await backedUp(theirs, '--kind', 'full');
      assert.equal(
        same.snapshot.uuid,
        before.snapshot.uuid,
        'KIND=full begins a chain although nothing is new',
      );
      assert.ok(same.created_at > before.created_at, same.created_at);
      await proveIs(theirs, at('home.20261128T0200'));
      for (const kind of ['full', 'incremental']) {
        const result = await makeBackup(theirs, { SUBVOLUMES: world.data }, '--kind', kind);
        assert.equal(result.exitCode, 0, result.stderr);
      }
      const left = await namesIn(at(''));
      assert.equal(left.filter((name) => name.startsWith('data__')).length, 1);
      assert.equal(left.filter((name) => name.startsWith('home.')).length, 4);
    },
  );

  await t.test('what is begun and deleted by them is given up, and the next newest is sent', async () => {
    await change(world, 'c');
    await theirs.take(at('home.20261129T0200'));
    await prepare(theirs);
    await theirs.forget(at('home.20261129T0200'));
    const config = await world.settingsFile(theirs.settings);
    const upload = await runProcess('make', ['upload', `CONFIG=${config}`]);
    assert.match(
      errorLines(upload).join(),
      /the snapshot \S+\/home\.20261129T0200 no longer exists; run: make backup/,
    );
    await theirs.take(at('home.20261129T0300'));
    const result = await makeBackup(theirs);
    assert.match(result.stderr, /given up: its snapshot \S+\/home\.20261129T0200 is gone/);
    assert.equal((await lastManifest(theirs)).snapshot.name, 'home.20261129T0300');
    await proveIs(theirs, at('home.20261129T0300'));
  });

  await t.test(
    'a path that has become another snapshot is not sent as the one that was planned',
    async () => {
      const path = at('home.daily.0');
      await change(world, 'd');
      await theirs.take(path);
      await prepare(theirs);
      await theirs.forget(path);
      await change(world, 'e');
      await theirs.take(path);
      const config = await world.settingsFile(theirs.settings);
      const upload = await runProcess('make', ['upload', `CONFIG=${config}`]);
      assert.match(
        errorLines(upload).join(),
        /home\.daily\.0 was replaced after planning .*; run: make backup/,
      );
      assert.equal((await backedUp(theirs)).snapshot.name, 'home.daily.0');
      await proveIs(theirs, path);
    },
  );
  await theirs.assertUntouched();
});
