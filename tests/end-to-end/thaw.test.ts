/** make thaw, and what says that chunks are cold: what is requested, what is printed, and what needs no thaw at all. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { HeadObjectCommand } from '@aws-sdk/client-s3';
import {
  archivedWorld,
  assertRequestedOnce,
  backUp,
  chunkKeys,
  isChunk,
  requestedKeys,
  untilTold,
} from './archived-world.ts';
import { allKeys, errorLines, namesIn, runProcess } from './world.ts';

test('make thaw can be repeated: it requests once, says how far it is, and ends with 0 when all can be read', async (t) => {
  const world = await archivedWorld(t, { thawDelayMs: untilTold });
  const chunks = await chunkKeys(world);
  const thaw = (...args: readonly string[]) => world.run('thaw.ts', '--subvolume', 'data', ...args);
  const first = await runProcess('make', [
    'thaw',
    'SUBVOLUME=data',
    'TIER=Bulk',
    'DAYS=9',
    `CONFIG=${await world.settingsFile()}`,
  ]);
  assert.equal(first.exitCode, 2, 'make says 2 for every failure');
  assert.match(first.stderr, /\[thaw\] Error 5|thaw\] Error 5/);
  assert.match(first.stdout, new RegExp(`requested ${chunks.length} objects \\(Bulk, 9 days\\)`));
  assert.match(first.stdout, /DEEP_ARCHIVE: it takes 2d 00h at most from the request on/);
  const second = await thaw('--json');
  assert.equal(second.exitCode, 5, second.stderr);
  const { requested, thawing, cold, objects, chain } = JSON.parse(second.stdout);
  assert.deepEqual(
    { requested, thawing, cold, objects, backups: chain.length },
    { requested: 0, thawing: chunks.length, cold: 0, objects: chunks.length, backups: 2 },
  );
  assert.match((await world.run('list.ts')).stdout, new RegExp(` thawing: 0 of ${chunks.length} `));
  await world.server.thaws.finish();
  const third = await thaw();
  assert.equal(third.exitCode, 0, third.stderr);
  assert.match(third.stdout, /nothing needed to be requested/);
  assert.match(third.stdout, / now$/m);
  await assertRequestedOnce(world);
  assert.match((await world.run('list.ts')).stdout, / until \d{4}-\d\d-\d\dT00:00:00Z /);
  const longer = await thaw('--days', '30');
  assert.equal(longer.exitCode, 0, longer.stderr);
  assert.match(longer.stdout, new RegExp(`requested ${chunks.length} objects \\(Standard, 30 days\\)`));
});

test('a SPOOL_DIR that cannot be used is found before a thaw is requested', async (t) => {
  const world = await archivedWorld(t, { thawDelayMs: untilTold, incrementals: 0 });
  const args = ['--subvolume', 'data', '--target', join(world.mount, 'r'), '--no-wait'];
  const refused = await world.run('restore.ts', ...args, '--set', `SPOOL_DIR=${world.data}/random/spool`);
  assert.equal(refused.exitCode, 1, refused.stderr);
  assert.match(
    errorLines(refused)[0] ?? '',
    /^cannot use SPOOL_DIR \S+: a part of the path is not a directory/,
  );
  assert.deepEqual(requestedKeys(world), []);
});

test('what is cold is asked for by restore and thaw alone, and metadata never has to thaw', async (t) => {
  const world = await archivedWorld(t);
  const chunks = await chunkKeys(world);
  for (const key of await allKeys(world)) {
    const head = await world.client.send(new HeadObjectCommand({ Bucket: 'backups', Key: key }));
    assert.equal(head.StorageClass ?? 'STANDARD', isChunk(key) ? 'DEEP_ARCHIVE' : 'STANDARD', key);
  }
  const before = world.server.requests.length;
  const listed = await world.run('list.ts');
  assert.equal(listed.exitCode, 0, listed.stderr);
  assert.match(
    listed.stdout,
    new RegExp(`^\\* data .* DEEP_ARCHIVE  thaw first: ${chunks.length} of ${chunks.length} `, 'm'),
  );
  const { backups } = JSON.parse((await world.run('list.ts', '--json')).stdout);
  assert.deepEqual(
    backups.map(({ restorable, thaw }: { restorable: string; thaw: { cold: number } }) => [
      restorable,
      thaw.cold,
    ]),
    [
      ['after a thaw', chunks.length - 1],
      ['after a thaw', chunks.length],
    ],
  );
  assert.equal((await world.run('verify.ts')).exitCode, 0);
  const deep = await world.run('verify.ts', '--deep');
  assert.equal(deep.exitCode, 5, deep.stderr);
  for (const key of chunks)
    assert.match(deep.stdout, new RegExp(`^${key}: not read, as it is archived`, 'm'));
  assert.match(deep.stdout, /^sound as far as it could be read: 2 manifests/m);
  assert.match(deep.stderr, /make thaw SUBVOLUME=name/);
  const dry = await world.run('thaw.ts', '--subvolume', 'data', '--dry-run');
  assert.equal(dry.exitCode, 5, dry.stderr);
  assert.match(dry.stdout, new RegExp(`would request ${chunks.length} objects`));
  const made = new Set(world.server.requests.slice(before).map(({ method }) => method));
  assert.deepEqual([...made].sort(), ['GET', 'HEAD']);
});

test('EXPORT lists what is cold of all hosts under a prefix for S3 Batch Operations, and requests nothing', async (t) => {
  const world = await archivedWorld(t);
  await backUp(world, { S3_PREFIX: 'fleet/häuschen, links', RUN_DIR: join(world.directory, 'other') });
  const file = join(world.directory, 'thaw.csv');
  const exported = (...args: readonly string[]) =>
    world.run('thaw.ts', '--export', file, '--set', 'S3_PREFIX=fleet', ...args);
  const result = await exported();
  assert.equal(result.exitCode, 0, result.stderr);
  const chunks = await chunkKeys(world);
  assert.match(result.stdout, new RegExp(`${chunks.length} objects, .* of 2 chains of 2 hosts`));
  const text = await readFile(file, 'utf8');
  assert.match(text, /^backups,fleet\/h%C3%A4uschen%2C%20links\/subvol\/data\/full\/chunk-\w+-00000\.bin$/m);
  const lines = text.trimEnd().split('\n');
  assert.deepEqual(
    lines.map((line) => decodeURIComponent(line.replace('backups,', ''))).sort(),
    [...chunks].sort(),
  );
  assert.deepEqual(requestedKeys(world), []);
  const again = await exported();
  assert.equal(again.exitCode, 2);
  assert.match(errorLines(again)[0] ?? '', /^EXPORT .* exists already; /);
  assert.equal(await readFile(file, 'utf8'), text);
});

test('a tier that there is not, or not for the class, and days that are none are refused before anything is requested', async (t) => {
  const world = await archivedWorld(t);
  const before = await namesIn(world.mount);
  for (const [args, line] of [
    [['--tier', 'Fast'], /^TIER=Fast is not a tier; use Expedited, Standard, Bulk$/],
    [
      ['--tier', 'Expedited'],
      /^DEEP_ARCHIVE has no tier Expedited: nothing was requested; use TIER=Standard/,
    ],
    [['--days', '0'], /^DAYS=0 is not a number of days; use a whole number from 1 to 365$/],
    [['--export', 'x.csv', '--days', '3'], /^EXPORT and DAYS do not go together/],
    [['--at', '2026-01-01', '--manifest', 'x'], /^AT and MANIFEST both choose a backup/],
  ] as const) {
    const result = await world.run('thaw.ts', '--subvolume', 'data', ...args);
    assert.equal(result.exitCode, 2, result.stderr);
    assert.deepEqual([errorLines(result).length, result.stdout], [1, '']);
    assert.match(errorLines(result)[0] ?? '', line);
  }
  const restored = await world.run(
    'restore.ts',
    '--subvolume',
    'data',
    '--target',
    join(world.mount, 'restored'),
    '--set',
    'RESTORE_TIER=Expedited',
  );
  assert.equal(restored.exitCode, 2, restored.stderr);
  assert.deepEqual(await namesIn(world.mount), before);
  assert.deepEqual(requestedKeys(world), []);
});

for (const storageClass of ['GLACIER_IR', 'STANDARD_IA']) {
  test(`${storageClass} can be read as it is, and nothing is requested`, async (t) => {
    const world = await archivedWorld(t, { settings: { STORAGE_CLASS_CHUNKS: storageClass } });
    const thawed = await world.run('thaw.ts', '--subvolume', 'data');
    assert.equal(thawed.exitCode, 0, thawed.stderr);
    assert.match((await world.run('list.ts')).stdout, new RegExp(` ${storageClass}  now `));
    const result = await world.run(
      'restore.ts',
      '--subvolume',
      'data',
      '--target',
      join(world.mount, 'restored'),
      '--no-wait',
    );
    assert.equal(result.exitCode, 0, result.stderr);
    assert.deepEqual(requestedKeys(world), []);
  });
}

test('a faster tier is asked for what thaws already, and no time is reported that belongs to a request no one made', async (t) => {
  const world = await archivedWorld(t, {
    thawDelayMs: untilTold,
    settings: { STORAGE_CLASS_CHUNKS: 'GLACIER' },
  });
  const chunks = await chunkKeys(world);
  const thaw = async (...args: readonly string[]) => {
    const before = world.server.requests.length;
    const { exitCode, stdout, stderr } = await world.run('thaw.ts', '--subvolume', 'data', ...args);
    assert.equal(exitCode, 5, stderr);
    const asked = world.server.requests
      .slice(before)
      .filter(({ operation }) => operation === 'RestoreObject');
    return { stdout, statuses: asked.map(({ status }) => status) };
  };
  const each = (status: number) => chunks.map(() => status);
  const bulk = await thaw('--tier', 'Bulk');
  assert.deepEqual(bulk.statuses, each(202));
  assert.match(bulk.stdout, /GLACIER: it takes 5h 00m to 12h 00m from the request on/);

  const later = await thaw();
  assert.deepEqual(later.statuses, [], 'RESTORE_TIER alone makes nothing dearer');
  assert.match(later.stdout, / not known$/m);
  assert.match(
    later.stdout,
    /requested before, in a tier that the bucket does not show: 12h 00m at most from that/,
  );
  const { ready_by } = JSON.parse((await thaw('--json')).stdout);
  assert.equal(ready_by, null);

  const fast = await thaw('--tier', 'Expedited');
  assert.deepEqual(fast.statuses, each(202));
  assert.match(
    fast.stdout,
    new RegExp(`${chunks.length} objects that thawed already: Expedited from now on`),
  );
  assert.match(fast.stdout, /GLACIER: it takes 1m 00s to 5m 00s from the request on/);

  const again = await thaw('--tier', 'Expedited');
  assert.deepEqual(again.statuses, each(409));
  assert.match(again.stdout, /goes on as it was, Expedited is not faster or was refused/);
  assert.doesNotMatch(again.stdout, /5m 00s/);
  assert.match(again.stdout, / not known$/m);
  const dry = await thaw('--tier', 'Expedited', '--dry-run');
  assert.deepEqual(dry.statuses, []);
  assert.doesNotMatch(dry.stdout, /5m 00s/);
});

test('a tier that the class does not have is refused for what thaws already as well', async (t) => {
  const world = await archivedWorld(t, { thawDelayMs: untilTold, incrementals: 0 });
  assert.equal((await world.run('thaw.ts', '--subvolume', 'data')).exitCode, 5);
  const refused = await world.run('thaw.ts', '--subvolume', 'data', '--tier', 'Expedited');
  assert.equal(refused.exitCode, 2);
  assert.match(errorLines(refused).join(), /DEEP_ARCHIVE has no tier Expedited: nothing was requested/);
});
