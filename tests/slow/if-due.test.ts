/** `make backup IF_DUE=1` by the clock of this host, on backups of chosen times. */
import assert from 'node:assert/strict';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import type { Manifest } from '../../lib/core/format/manifest.ts';
import { formatTimestamp } from '../../lib/core/format/names.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { backUpAt } from '../end-to-end/back-up-at.ts';
import {
  allKeys,
  createWorld,
  errorLines,
  mustSucceed,
  namesIn,
  pointerKey,
  readObject,
  runFilesOf,
  runProcess,
  type ScriptResult,
  type World,
  writeObject,
} from '../end-to-end/world.ts';

const dayMs = 86_400_000;
const root = 'fleet/host-1/subvol';

/** A world with the subvolumes `data` and `home`, and times of days before now. */
async function worldOfTwo(t: TestContext) {
  const world = await createWorld(t);
  const home = join(world.mount, 'home');
  await shell`btrfs subvolume create ${home}`;
  const config = await world.settingsFile({ SUBVOLUMES: `${world.data},${home}` });
  // Backups are of whole seconds.
  const now = Math.floor(Date.now() / 1000) * 1000;
  const before = (days: number) => now - days * dayMs;
  return {
    world,
    before,
    backUp: (name: 'data' | 'home', days: number) =>
      backUpAt(world, before(days), { name, path: join(world.mount, name) }),
    make: (...variables: readonly string[]) =>
      runProcess('make', ['backup', 'IF_DUE=1', `CONFIG=${config}`, ...variables]),
  };
}

/** The line that says what is due next. */
function line(name: string, kind: string, dueMs: number, reason: string): string {
  const minutes = new Date(dueMs).toISOString().slice(0, 16).replace('T', ' ');
  return `${name}: next ${kind} due ${minutes} UTC; ${reason}`;
}

const timeOf = (ms: number) => new Date(ms).toISOString().replace('.000', '');

function assertMade(result: ScriptResult): readonly string[] {
  assert.equal(result.exitCode, 0, result.stderr);
  return result.stdout.trimEnd().split('\n');
}

async function newestOf(
  world: World,
  name: string,
): Promise<{ readonly key: string; readonly kind: string }> {
  const { manifest_key, kind } = JSON.parse(await readObject(world, `${root}/${name}/current.json`));
  return { key: manifest_key, kind };
}

/** All that a run could have changed: objects, uploads, snapshots, work in progress. */
async function stateOf(world: World) {
  return {
    keys: await allKeys(world),
    snapshots: await namesIn(world.snapshots),
    runs: await Promise.all((await runFilesOf(world)).map((name) => namesIn(join(world.runDirectory, name)))),
  };
}

test('what is not due is reported in a line each and left alone; what is due is published, each by itself', async (t) => {
  const { world, before, backUp, make } = await worldOfTwo(t);
  await backUp('data', 30);
  await backUp('data', 2);
  await backUp('home', 5);
  await appendFile(join(world.data, 'file'), 'more');
  const dataLine = line(
    'data',
    'incremental',
    before(2 - 7),
    `the last backup is the incremental of ${timeOf(before(2))}`,
  );
  const homeLine = line(
    'home',
    'incremental',
    before(5 - 7),
    `the last backup is the full of ${timeOf(before(5))}`,
  );

  // The first run of the scripts makes the lock file.
  assert.deepEqual(assertMade(await make()), [dataLine, homeLine]);
  const state = await stateOf(world);
  const requests = world.server.requests.length;
  await t.test('nothing is due: nothing is written', async () => {
    assert.deepEqual(assertMade(await make()), [dataLine, homeLine]);
    assert.deepEqual(await stateOf(world), state);
    const reads = ['ListObjectsV2', 'GetObject', 'HeadObject'];
    const written = world.server.requests
      .slice(requests)
      .filter((each) => !reads.includes(each.operation ?? ''));
    assert.deepEqual(written, []);
    assert.ok(world.server.requests.length > requests, 'the bucket was asked');
  });

  await t.test('the plan says the same, and a kind that is asked for is the only one', async () => {
    const plan = async (...variables: readonly string[]) => assertMade(await make('DRY_RUN=1', ...variables));
    assert.deepEqual(await plan(), [dataLine, homeLine]);
    const full = await plan('SET=INCREMENTAL_EVERY=1d', 'KIND=full');
    assert.match(full.join('\n'), /^data: next full due .*\nhome: next full due /);
    const old = ['SET=FULL_EVERY=20d'];
    assert.equal((await plan(...old))[0], 'data: full: a full backup is due by FULL_EVERY');
    assert.deepEqual(await plan(...old, 'KIND=incremental'), [dataLine, homeLine]);
    assert.deepEqual(await stateOf(world), state);
  });

  await t.test('--json names what is next', async () => {
    const config = await world.settingsFile();
    const { stdout } = await runProcess('scripts/tsx.sh', [
      ...['scripts/snapshot.ts', '--config', config, '--if-due', '--json'],
    ]);
    assert.deepEqual(JSON.parse(stdout).subvolumes, [
      {
        name: 'data',
        next: { kind: 'incremental', due_at: timeOf(before(2 - 7)) },
        reason: `the last backup is the incremental of ${timeOf(before(2))}`,
      },
    ]);
  });

  await t.test('one is due, the other not', async () => {
    const data = await newestOf(world, 'data');
    const lines = assertMade(await make('SET=INCREMENTAL_EVERY=4d'));
    assert.match(lines[0] ?? '', /^data: next incremental due /);
    assert.match(lines.join('\n'), /^home: incremental: on the full of /m);
    assert.equal((await newestOf(world, 'home')).kind, 'incremental');
    assert.deepEqual(await newestOf(world, 'data'), data);
  });

  await t.test('a chain that is old is followed by a full backup', async () => {
    const home = await newestOf(world, 'home');
    assertMade(await make('SET=FULL_EVERY=20d'));
    assert.equal((await newestOf(world, 'data')).kind, 'full');
    assert.deepEqual(await newestOf(world, 'home'), home);
    assert.match(assertMade(await make('SET=FULL_EVERY=20d')).join('\n'), /^data: next .*\nhome: next .*$/);
  });
});

test('an unfinished backup resumes, due or not, of whatever kind; another subvolume gets its first', async (t) => {
  const { world, backUp, make } = await worldOfTwo(t);
  await backUp('data', 1);
  await appendFile(join(world.data, 'file'), 'more');
  await mustSucceed(world, 'snapshot.ts');
  const lines = assertMade(await make('KIND=full')).join('\n');
  assert.match(lines, /^data: incremental: resuming unfinished data__/m);
  assert.match(lines, /^home: full: asked for with KIND=full/m);
  assert.equal((await newestOf(world, 'data')).kind, 'incremental');
  assert.equal((await newestOf(world, 'home')).kind, 'full');
  assert.match(assertMade(await make()).join('\n'), /^data: next incremental .*\nhome: next incremental .*$/);
});

test('before a backup is due the plan says why it will be full, or cannot be made', async (t) => {
  const { world, before, backUp, make } = await worldOfTwo(t);
  await backUp('data', 1);
  await backUpAt(world, before(1), {
    name: 'home',
    path: join(world.mount, 'home'),
    hostName: 'other-host',
    settings: { RUN_DIR: join(world.directory, 'other-run') },
  });
  for (const name of await namesIn(world.snapshots)) {
    await shell`btrfs subvolume delete ${join(world.snapshots, name)}`;
  }
  const result = await make();
  const gone = `data__${formatTimestamp(new Date(before(1)))}__full`;
  assert.equal(
    result.stdout.trimEnd(),
    line('data', 'full', before(1 - 7), `parent snapshot ${gone} is gone`),
  );
  assert.match(
    errorLines(result).join('\n'),
    /^home: .*is of host other-host.*give each host its own S3_PREFIX/,
  );
  assert.match(result.stderr, /Error 1\b/);
});

test('a clock behind the last backup is a failure each time, and does not keep another subvolume waiting', async (t) => {
  const { world, before, backUp, make } = await worldOfTwo(t);
  await backUp('data', -10);
  for (const [variables, isPublished] of [
    [['DRY_RUN=1'], false],
    [[], true],
    [['KIND=full'], true],
  ] as const) {
    const result = await make(...variables);
    assert.match(result.stderr, /Error 1\b/);
    const [failure = '', ...others] = errorLines(result);
    assert.deepEqual(others, []);
    assert.match(failure, /^data: the clock says \S+, but the last backup of data is of /);
    assert.ok(failure.includes(`is of ${timeOf(before(-10))}; set the clock`), failure);
    assert.ok(failure.includes(`move ${pointerKey} away`), failure);
    assert.equal((await allKeys(world)).includes(`${root}/home/current.json`), isPublished);
  }
  assert.equal((await newestOf(world, 'data')).kind, 'full', 'nothing was published');
  assert.equal((await allKeys(world)).filter((key) => key.startsWith(`${root}/data/`)).length, 3);

  await t.test('what the line says helps', async () => {
    await world.client.send(new DeleteObjectCommand({ Bucket: 'backups', Key: pointerKey }));
    assertMade(await make());
    assert.match((await newestOf(world, 'data')).key, new RegExp(formatTimestamp(new Date()).slice(0, 6)));
  });
});

test('a chain that began in the future, or is broken, is not continued', async (t) => {
  const { world, before, backUp, make } = await worldOfTwo(t);
  await backUp('data', 3);
  await backUp('data', 1);
  await backUp('home', 1);
  const fullKey = (days: number) =>
    `${root}/data/full/manifest-${formatTimestamp(new Date(before(days)))}.json`;
  const newest = (await newestOf(world, 'data')).key;
  const full: Manifest = JSON.parse(await readObject(world, fullKey(3)));
  const last: Manifest = JSON.parse(await readObject(world, newest));
  await writeObject(
    world,
    fullKey(-400),
    JSON.stringify({ ...full, created_at: formatTimestamp(new Date(before(-400))) }),
  );
  await writeObject(world, newest, JSON.stringify({ ...last, parent_manifest: fullKey(-400) }));
  const odd = assertMade(await make('DRY_RUN=1'));
  assert.match(odd.join('\n'), /^data: full: the last full backup is dated in the future/m);

  await world.client.send(new DeleteObjectCommand({ Bucket: 'backups', Key: fullKey(-400) }));
  const broken = await make();
  assert.match(assertMade(broken).join('\n'), /^data: full: the last backup cannot be restored$/m);
  assert.match(
    broken.stderr,
    /data: the last backup cannot be restored: manifest \S+ is not in bucket backups/,
  );
  assert.equal((await newestOf(world, 'data')).kind, 'full');
  assert.match(
    assertMade(await make()).join('\n'),
    /^data: next incremental due .*\nhome: next incremental due .*$/,
  );
});

test('a chain that has lost a chunk is followed by a full backup at once', async (t) => {
  const { world, before, backUp, make } = await worldOfTwo(t);
  await backUp('data', 3);
  await backUp('data', 1);
  await backUp('home', 1);
  const chunk = `${root}/data/full/chunk-${formatTimestamp(new Date(before(3)))}-00000.bin`;
  await world.client.send(new DeleteObjectCommand({ Bucket: 'backups', Key: chunk }));
  const result = await make();
  assert.match(assertMade(result).join('\n'), /^data: full: the last backup cannot be restored$/m);
  assert.ok(
    result.stderr.includes(`the last backup cannot be restored: chunk ${chunk} is missing`),
    result.stderr,
  );
  assert.equal((await newestOf(world, 'data')).kind, 'full');
});
