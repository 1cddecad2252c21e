/** Drills: what they prove, what they record, and when they are due. */
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DrillRecord } from '../../lib/core/format/drill-record.ts';
import { DAY_MS } from '../../lib/core/units.ts';
import type { StageContext } from '../../lib/stage/context.ts';
import { type DrillResult, type DrillsRequest, drillEach } from '../../lib/stage/watch/drill/drills.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { permissionsOf } from '../support/iam-policy.ts';
import { unmount, unmountEverywhere } from '../support/unmount-everywhere.ts';
import { assertUnderWay, requestedKeys, untilTold } from './archived-world.ts';
import { startScript, whileRunning } from './running-script.ts';
import { edit, refusal, write } from './small-world.ts';
import { type Host, hostIn } from './within-process.ts';
import {
  allKeys,
  createWorld,
  damageStoredBytes,
  errorLines,
  readBytes,
  readObject,
  type World,
} from './world.ts';

interface Scene {
  readonly world: World;
  readonly host: Host;
  readonly spool: string;
  /** Of the newest backup. */
  readonly snapshot: string;
}

/** A world with a full and an incremental backup. */
async function makeScene(t: TestContext, settings: Readonly<Record<string, string>> = {}): Promise<Scene> {
  const world = await createWorld(t, settings, 512 * 2 ** 20, { thawDelayMs: untilTold });
  const spool = join(world.directory, 'spool');
  const host = await hostIn(world, { settings: { SPOOL_DIR: spool } });
  await write(world, 'one', 'two');
  await host.backUp();
  await write(world, 'three');
  const { manifest } = await host.backUp();
  return { world, host, spool, snapshot: join(world.snapshots, manifest.snapshot.name) };
}

const always = {
  subvolume: 'data',
  selection: {},
  thaw: {},
  verifyMode: 'full',
  mayWait: true,
  cadence: undefined,
  isDryRun: false,
} as const;

function drills(
  { host }: Scene,
  changes: Partial<DrillsRequest> = {},
  context: Partial<StageContext> = {},
): Promise<readonly DrillResult[]> {
  return drillEach({ ...host.context, ...context }, { ...always, ...changes }, () => undefined);
}

async function drillOnce(
  scene: Scene,
  changes: Partial<DrillsRequest> = {},
  context: Partial<StageContext> = {},
) {
  // Records are named by the second.
  await sleep(1000);
  const [result] = await drills(scene, changes, context);
  assert.ok(result?.did === 'drill', JSON.stringify(result));
  return result.outcome;
}

const drillKeys = async (world: World) => (await allKeys(world)).filter((key) => key.includes('/drill/'));

const chunkReads = ({ server }: World) =>
  server.requests.filter(({ operation, key }) => operation === 'GetObject' && key?.endsWith('.bin')).length;

function assertNothingLeft({ spool }: Scene): void {
  assert.deepEqual(existsSync(spool) ? readdirSync(spool) : [], []);
  assert.doesNotMatch(readFileSync('/proc/self/mountinfo', 'utf8'), new RegExp(spool));
}

test('a drill proves what it can, and records it: with the snapshot, without it, and where it was changed', async (t) => {
  const scene = await makeScene(t);
  const { world, snapshot } = scene;
  const compared = await drillOnce(scene);
  assert.equal(compared.failure, undefined);
  assert.match(compared.key, /^fleet\/host-1\/drill\/data\/\d{8}T\d{6}Z\.json$/);
  const recorded: DrillRecord = JSON.parse(await readObject(world, compared.key));
  assert.deepEqual(recorded, compared.record);
  assert.deepEqual([recorded.result, recorded.backups, recorded.problem], ['sound', 2, null]);
  assert.ok(recorded.finished_at);
  assert.match(
    recorded.proofs[0] ?? '',
    /^every part matched its manifest's SHA-256; btrfs receive confirmed 2 streams$/,
  );
  assert.match(
    recorded.proofs[1] ?? '',
    /^compared with .*: metadata of 4 paths and the content of all files are equal$/,
  );
  assertNothingLeft(scene);

  await edit(snapshot, () => shell`touch ${join(snapshot, 'one')}`);
  const changed = (await drillOnce(scene)).record;
  assert.deepEqual(
    [changed.result, changed.proofs[1]],
    ['sound', `not compared file by file: ${snapshot} was changed since it was backed up`],
  );
  await shell`btrfs subvolume delete ${snapshot}`;
  const gone = (await drillOnce(scene)).record;
  assert.match(gone.proofs[1] ?? '', /^not compared file by file: the source snapshot is not on this host$/);
  const earlier = await drillOnce(scene, { selection: { at: gone.started_at.slice(0, 10) } });
  assert.equal(earlier.record.manifest_key, gone.manifest_key);
  assert.equal((await drillKeys(world)).length, new Set(await drillKeys(world)).size);
  assert.deepEqual(await hostsOf(world), ['fleet/host-1'], 'what drills left is not taken for backups');
});

/** The hosts that have backups. */
async function hostsOf(world: World): Promise<readonly string[]> {
  const { stdout } = await world.run('list.ts', '--json', '--host-prefix', '/');
  return JSON.parse(stdout).hosts.map(({ prefix }: { readonly prefix: string }) => prefix);
}

test('damage is found, recorded, and exit code 4; the next one is due when DRILL says, not at once', async (t) => {
  const scene = await makeScene(t);
  const { world, spool } = scene;
  // Of the second stream: the first one is received by then.
  const chunk = (await allKeys(world)).findLast((key) => key.endsWith('.bin')) ?? '';
  await damageStoredBytes(world, await readBytes(world, chunk), 1000);
  const args = ['--subvolume', 'data', '--set', `SPOOL_DIR=${spool}`, '--set', 'DRILL=weekly', '--json'];
  const result = await world.run('drill.ts', ...args);
  assert.equal(result.exitCode, 4, result.stderr);
  const [record] = JSON.parse(result.stdout).drills;
  assert.equal(record.result, 'damaged');
  assert.match(record.problem, /^chunk .* is damaged: part 1 is not what was uploaded; make verify DEEP=1/);
  assert.deepEqual(JSON.parse(await readObject(world, record.key)).problem, record.problem);
  assert.match(errorLines(result)[0] ?? '', /is damaged: part 1/);
  assert.doesNotMatch(result.stderr, /kept in|run the same command/, 'the scratch filesystem goes');
  assertNothingLeft(scene);
  const next = await world.run('drill.ts', ...args, '--if-due');
  assert.equal(next.exitCode, 0);
  assert.match(JSON.parse(next.stdout).drills[0].next_due_at, /^\d{4}-\d\d-\d\dT/);
});

test('a tree that differs from its snapshot is damage, though its state has not moved', async (t) => {
  const scene = await makeScene(t);
  const { world, host } = scene;
  // Not checksummed: such a file changes without Btrfs noticing.
  const file = join(world.data, 'unchecked');
  await shell`touch ${file} && chattr +C ${file}`;
  appendFileSync(file, 'pattern\n'.repeat(8192));
  await host.backUp();
  await unmountEverywhere(world.mount);
  const image = join(world.mount, '../image');
  const bytes = readFileSync(image);
  const at = bytes.indexOf('pattern\npattern\n');
  assert.ok(at > 0);
  await shell`printf X | dd of=${image} bs=1 seek=${at} conv=notrunc status=none && mount -o loop ${image} ${world.mount}`;
  const { record, failure } = await drillOnce(scene);
  assert.equal(record.result, 'damaged');
  assert.match(
    record.problem ?? '',
    /\/tree differs from the source snapshot \S+ in 1 place; nothing of it is kept/,
  );
  assert.deepEqual([failure?.kind, failure?.childOutput], ['damage', 'unchecked: content']);
  assertNothingLeft(scene);
});

test('a drill is due by its records alone, whoever made them; off is never', async (t) => {
  const scene = await makeScene(t);
  const at = (days: number) => ({ now: () => new Date(Date.now() + days * DAY_MS) });
  const did = async (cadence: DrillsRequest['cadence'], days: number) =>
    (await drills(scene, { cadence, isDryRun: true }, at(days))).map((result) => result.did);
  assert.deepEqual(await did('off', 0), []);
  assert.deepEqual(await did('weekly', 0), ['plan']);
  assert.deepEqual(await drillKeys(scene.world), [], 'a dry run records nothing');
  await drillOnce(scene);
  assert.deepEqual(await did('weekly', 6), ['nothing']);
  assert.deepEqual(await did('weekly', 7), ['plan']);
  assert.deepEqual(await did('monthly', 29), ['nothing']);
  assert.deepEqual(await did('monthly', 30), ['plan']);
  const [behind] = await drills(scene, { cadence: 'weekly' }, at(-1));
  assert.ok(behind?.did === 'fail');
  assert.match(behind.failure.message, /^the clock says .*, but the last drill of data is of /);

  // One that failed proves nothing, and does not count.
  const { SPOOL_DIR: _, ...settings } = scene.host.context.settings;
  const full = { ...settings, SPOOL_DIR: await tiny(scene.world) };
  const failed = await drillOnce(scene, {}, { ...at(8), settings: full });
  assert.deepEqual([failed.record.result, failed.failure?.kind], ['failed', 'failed']);
  assert.match(failed.record.problem ?? '', /^the scratch image needs about/);
  assert.deepEqual(await did('weekly', 8), ['plan']);
});

/** A filesystem in memory that is too small for any image. */
async function tiny(world: World): Promise<string> {
  const directory = join(world.directory, 'tiny');
  mkdirSync(directory);
  await shell`mount -t tmpfs -o size=16K tiny ${directory}`;
  world.cleanUp(() => unmount(directory));
  return directory;
}

test('a drill that waits for a thaw is begun once, and what cannot be recorded is not begun', async (t) => {
  const scene = await makeScene(t, { STORAGE_CLASS_CHUNKS: 'DEEP_ARCHIVE' });
  const { world, spool } = scene;
  world.server.permissions.set(permissionsOf('restore', 'backups', 'fleet/host-1'));
  const [denied] = await drills(scene, { mayWait: false });
  assert.ok(denied?.did === 'fail');
  assert.match(denied.failure.message, /drill\/data/);
  assert.deepEqual(requestedKeys(world), []);

  world.server.permissions.set(permissionsOf('drill', 'backups', 'fleet/host-1'));
  const args = ['--set', `SPOOL_DIR=${spool}`, '--no-wait'];
  for (let round = 0; round < 2; round++) {
    assertUnderWay(await world.run('drill.ts', ...args), /must be thawed first|chunks? .* in progress/);
    world.server.permissions.clear();
    const keys = await drillKeys(world);
    assert.equal(keys.length, 1);
    assert.equal(JSON.parse(await readObject(world, keys[0] ?? '')).result, 'started');
    world.server.permissions.set(permissionsOf('drill', 'backups', 'fleet/host-1'));
  }
  await world.server.thaws.finish();
  const done = await world.run('drill.ts', ...args);
  assert.equal(done.exitCode, 0, done.stderr);
  assert.match(
    done.stdout,
    /^sound: data as of .*, 2 backups, .*\n {2}every part matched .*\n {2}compared with .*\n {2}recorded in fleet\/host-1\/drill\/data\/\S+\n$/,
  );
  world.server.permissions.clear();
  assert.equal((await drillKeys(world)).length, 1);
  assertNothingLeft(scene);
  assert.ok(chunkReads(world) > 0);
});

test('one drill of a subvolume runs at a time, its wait for a thaw included; backups run meanwhile', async (t) => {
  const scene = await makeScene(t, { STORAGE_CLASS_CHUNKS: 'DEEP_ARCHIVE' });
  const { world, spool } = scene;
  const mail = join(world.directory, 'mail');
  const config = await world.settingsFile({
    SPOOL_DIR: spool,
    DRILL: 'weekly',
    NOTIFY_COMMAND: `echo $COMMAND $RESULT $EXIT_CODE >> ${mail}`,
  });
  const run = (...args: readonly string[]) =>
    startScript(world, config, 'drill.ts', '--subvolume', 'data', ...args);
  const first = run();
  // Where this fails, the scratch image goes as well.
  world.cleanUp(async () => first.child.kill('SIGTERM') && (await first.ended));
  await whileRunning(first, 'the requests of a thaw', () => requestedKeys(world).length === 2);

  const second = await run('--no-wait').ended;
  assert.deepEqual([second.exitCode, second.stdout], [3, ''], second.stderr);
  const holder = `another drill of data holds the lock \\S+: process ${first.child.pid}, since \\S+`;
  assert.equal(errorLines(second).length, 1, second.stderr);
  assert.match(errorLines(second)[0] ?? '', new RegExp(`${holder}; wait until it has finished$`));
  const ifDue = await run('--if-due', '--no-wait').ended;
  assert.deepEqual([ifDue.exitCode, ifDue.stderr], [0, '']);
  assert.match(ifDue.stdout, new RegExp(`^data: nothing is due, as ${holder}\n$`));
  assert.equal(readFileSync(mail, 'utf8'), 'drill success 3\n', 'it is no failure');
  await write(world, 'four');
  await world.backup();
  assert.equal(first.child.exitCode, null);

  first.child.kill('SIGKILL');
  await first.ended;
  const next = await run('--if-due', '--no-wait').ended;
  assert.equal(next.exitCode, 5, next.stderr);
  assert.equal((await drillKeys(world)).length, 1);
  assert.equal(new Set(requestedKeys(world)).size, requestedKeys(world).length);
  assertNothingLeft(scene);
});

test('all subvolumes are drilled where none is named; one that fails does not stop the others', async (t) => {
  const scene = await makeScene(t);
  const { world, spool } = scene;
  const path = join(world.mount, 'second');
  await shell`btrfs subvolume create ${path}`;
  writeFileSync(join(path, 'file'), 'second');
  const second = await hostIn(world, { name: 'second', path });
  await second.backUp();
  const [chunk = ''] = (await allKeys(world)).filter((key) => /subvol\/data\/full\/.*\.bin$/.test(key));
  await damageStoredBytes(world, await readBytes(world, chunk), 1000);
  const result = await world.run('drill.ts', '--set', `SPOOL_DIR=${spool}`);
  assert.equal(result.exitCode, 4, result.stderr);
  assert.match(result.stdout, /^DAMAGED: data as of [\s\S]*\nsound: second as of /);
  const none = await refusal(drills(scene, { subvolume: undefined }, await emptyBucket(scene)));
  assert.match(none.message, /there is no backup to drill/);
});

/** The same bucket under a prefix with nothing in it. */
async function emptyBucket({ world }: Scene): Promise<Partial<StageContext>> {
  const { context } = await hostIn(world, { settings: { S3_PREFIX: 'fleet/nobody' } });
  return { bucket: context.bucket };
}
