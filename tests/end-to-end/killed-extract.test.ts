/** Extracts that are stopped: what is left, who removes it, and that chunks which are not thawed are asked for first. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { sweepScratchFilesystems } from '../../lib/edge/scratch/scratch-filesystem.ts';
import { assertUnderWay, chunkKeys, requestedKeys, untilTold } from './archived-world.ts';
import { processesAbout, type RunningScript, startScript, until, whileRunning } from './running-script.ts';
import { createWorld, type World } from './world.ts';

const mib = 2 ** 20;
const paths = '/folder /large';

interface Scene {
  readonly world: World;
  readonly spool: string;
  readonly to: string;
  readonly args: readonly string[];
}

/** A world with a backup that takes a while to come back and to be copied. */
async function makeScene(
  t: TestContext,
  settings: Readonly<Record<string, string>> = {},
  largeMiB = 24,
): Promise<Scene> {
  const world = await createWorld(t, { CONCURRENCY: '2', ...settings }, undefined, {
    thawDelayMs: untilTold,
  });
  const [spool, to] = [join(world.directory, 'spool'), join(world.directory, 'to')];
  mkdirSync(spool);
  world.cleanUp(() => sweepScratchFilesystems(spool));
  mkdirSync(to);
  mkdirSync(join(world.data, 'folder'));
  writeFileSync(join(world.data, 'folder/small'), 'small');
  writeFileSync(join(world.data, 'large'), randomBytes(largeMiB * mib));
  await world.backup();
  const args = ['--subvolume', 'data', '--paths', paths, '--to', to, '--set', `SPOOL_DIR=${spool}`];
  return { world, spool, to, args };
}

/** Names in a directory that may be made or removed at this moment. */
const namesAt = (path: string) => (existsSync(path) ? readdirSync(path) : []);

const isMounted = (spool: string) => readFileSync('/proc/self/mountinfo', 'utf8').includes(spool);

async function start({ world, args }: Scene): Promise<RunningScript> {
  return startScript(world, await world.settingsFile(), 'extract.ts', ...args);
}

/** Kills an extract, and waits until its receive has ended for want of it: until then the image counts as one that is used. */
async function kill({ spool }: Scene, { child, ended }: RunningScript): Promise<void> {
  child.kill('SIGKILL');
  await ended;
  await until('receive is gone', async () => (await processesAbout(spool, 'btrfs receive')).length === 0);
}

function assertNothingLeft({ spool, to }: Scene, ...names: readonly string[]): void {
  assert.deepEqual(readdirSync(spool), []);
  assert.equal(isMounted(spool), false);
  assert.deepEqual(readdirSync(to).sort(), names);
}

/** The next run does all of it, and says what it has removed. */
async function assertNextRunDoesAll(scene: Scene): Promise<string> {
  const { world, to, args } = scene;
  const { exitCode, stderr } = await world.run('extract.ts', ...args);
  assert.equal(exitCode, 0, stderr);
  assertNothingLeft(scene, 'folder', 'large');
  assert.equal(readFileSync(join(to, 'folder/small'), 'utf8'), 'small');
  const same = readFileSync(join(to, 'large')).equals(readFileSync(join(world.data, 'large')));
  assert.ok(same, 'large is what it was');
  return stderr;
}

test('an extract that is killed while it fetches leaves an image, and the next one removes it', async (t) => {
  const scene = await makeScene(t);
  const { world, spool, to } = scene;
  world.server.faults.set([{ fault: 'slow', bytesPerSecond: 2 * mib, operation: 'GetObject', key: '*.bin' }]);
  const running = await start(scene);
  await whileRunning(running, 'it receives', () =>
    readdirSync(spool).some((name) =>
      namesAt(join(spool, name, 'mount')).some((each) => each.startsWith('.btrfs-to-s3-restore-')),
    ),
  );
  await kill(scene, running);
  world.server.faults.clear();
  assert.equal(isMounted(spool), true);
  assert.deepEqual(readdirSync(to).length, 1, 'its directory in TO');
  const said = await assertNextRunDoesAll(scene);
  assert.match(said, /removed \S+btrfs-to-s3-scratch-\w{6}, which a killed run had left/);
  assert.match(said, /removed \S+\.btrfs-to-s3-extract-\w{6}, which a killed extract had left/);
});

test('an extract that is killed while it copies leaves nothing that still copies, and nothing in its place', async (t) => {
  const scene = await makeScene(t, {}, 100);
  const { spool, to } = scene;
  const running = await start(scene);
  await whileRunning(running, 'it copies', () =>
    readdirSync(to).some((name) => namesAt(join(to, name, 'tree')).some((each) => each.startsWith('.large'))),
  );
  await kill(scene, running);
  await until('rsync is gone', async () => (await processesAbout(to, 'rsync')).length === 0);
  const [staging = ''] = readdirSync(to);
  assert.equal(existsSync(join(to, staging, 'tree/large')), false, 'it was ended, and did not just finish');
  assert.equal(isMounted(spool), true);
  assert.deepEqual(
    ['folder', 'large'].filter((name) => existsSync(join(to, name))),
    [],
  );
  assert.match(await assertNextRunDoesAll(scene), /which a killed extract had left/);
});

test('an extract that is stopped cleans up itself, within seconds', async (t) => {
  const scene = await makeScene(t);
  const { world, spool } = scene;
  world.server.faults.set([{ fault: 'slow', bytesPerSecond: 2 * mib, operation: 'GetObject', key: '*.bin' }]);
  const running = await start(scene);
  await whileRunning(running, 'it has begun', () => isMounted(spool));
  running.child.kill('SIGTERM');
  const { exitCode } = await running.ended;
  assert.equal(exitCode, 143);
  assertNothingLeft(scene);
});

test('two extracts at once leave each other alone', async (t) => {
  const scene = await makeScene(t);
  const { world, spool } = scene;
  world.server.faults.set([{ fault: 'slow', bytesPerSecond: 2 * mib, operation: 'GetObject', key: '*.bin' }]);
  const first = await start(scene);
  await whileRunning(first, 'it has begun', () => isMounted(spool));
  world.server.faults.clear();
  const second = await world.run('extract.ts', ...scene.args, '--to', join(world.directory, 'other'));
  assert.equal(second.exitCode, 0, second.stderr);
  assert.doesNotMatch(second.stderr, /had left/);
  const { exitCode, stderr } = await first.ended;
  assert.equal(exitCode, 0, stderr);
  assertNothingLeft(scene, 'folder', 'large');
});

test('chunks that are not thawed are named first, requested once, and waited for or not', async (t) => {
  const scene = await makeScene(t, { STORAGE_CLASS_CHUNKS: 'DEEP_ARCHIVE' });
  const { world, args } = scene;
  const chunks = (await chunkKeys(world)).length;
  const plan = new RegExp(
    `requests the thaw of ${chunks} of ${chunks} chunks \\(Bulk, 7 days\\), which takes 48h 00m at most|2d 00h at most`,
  );
  const dry = await world.run('extract.ts', ...args, '--tier', 'Bulk', '--dry-run');
  assert.match(dry.stdout, plan);
  assert.deepEqual(requestedKeys(world), []);
  const refused = await world.run('extract.ts', ...args, '--tier', 'Expedited', '--dry-run');
  assert.equal(refused.exitCode, 2, 'DEEP_ARCHIVE has no such tier');

  const early = await world.run('extract.ts', ...args, '--tier', 'Bulk', '--no-wait');
  assertUnderWay(early, new RegExp(`^${chunks} chunks of ${chunks} must be thawed first`));
  assert.match(early.stderr, plan);
  assertNothingLeft(scene);
  const waiting = await start(scene);
  await whileRunning(waiting, 'it waits', () => waiting.said().includes('waiting for the thaw'));
  await world.server.thaws.finish();
  const { exitCode, stderr } = await waiting.ended;
  assert.equal(exitCode, 0, stderr);
  assert.equal(requestedKeys(world).length, chunks);
  assertNothingLeft(scene, 'folder', 'large');
});
