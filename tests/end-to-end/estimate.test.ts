/** make estimate against what is really sent, on the data sets of the harness. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathExists } from '../../lib/edge/files/files.ts';
import { estimateSnapshotName } from '../../lib/stage/backup/estimate-snapshot.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { mutateData, seedData } from '../../testing/harness/seed-data.ts';
import { createWorld, mustSucceed, namesIn, type World } from './world.ts';

interface Estimate {
  readonly kind: string;
  readonly bytes: number;
  readonly exact: boolean;
  readonly chunks: number;
  readonly parts: number;
  readonly chain: { readonly backups: number; readonly bytes: number };
  readonly dollars_per_month: number | null;
  readonly seconds: number | null;
}

async function estimate(world: World, ...args: readonly string[]): Promise<Estimate> {
  const { stdout } = await mustSucceed(world, 'estimate.ts', '--json', ...args);
  return JSON.parse(stdout).subvolumes[0];
}

test('the estimate is what is sent, to the byte, full and incremental, and leaves nothing behind', async (t) => {
  const world = await createWorld(t, {}, 1024 * 2 ** 20);
  await seedData(world.data, { seed: 1, files: 200, totalBytes: 24 * 2 ** 20 });
  const before = { objects: world.server.requests.length, snapshots: await namesIn(world.snapshots) };

  const full = await estimate(world);
  assert.deepEqual([full.kind, full.exact, full.chain.backups], ['full', true, 1]);
  assert.equal(full.seconds, null, 'no upload has shown a rate yet');
  assert.equal(full.dollars_per_month, null, 'no AWS, no price');
  assert.deepEqual(await namesIn(world.snapshots), before.snapshots);
  const writes = world.server.requests
    .slice(before.objects)
    .filter(({ operation }) => /Put|Upload/.test(operation ?? ''));
  assert.deepEqual(writes, [], 'nothing was uploaded');
  const dry = await mustSucceed(world, 'backup.ts', '--dry-run', '--json', '--rate', '1MiB');
  const { forecast, origin } = JSON.parse(dry.stdout).subvolumes[0];
  assert.equal(origin, undefined);
  assert.ok(Math.abs(forecast.bytes / full.bytes - 1) < 0.1, `about ${forecast.bytes} for ${full.bytes}`);
  assert.deepEqual([forecast.exact, forecast.seconds], [false, forecast.bytes / 2 ** 20]);
  assert.deepEqual(await namesIn(world.snapshots), before.snapshots, 'a dry run takes no snapshot');
  const first = await world.backup();
  assert.equal(full.bytes, first.manifest.total_bytes);
  assert.equal(full.chunks, first.manifest.chunks.length);
  const parts = first.manifest.chunks.reduce((sum, { parts }) => sum + (parts?.length ?? 0), 0);
  assert.equal(full.parts, parts);

  const limited = await estimate(world, '--set', 'LIMIT_UPLOAD=64KiB');
  assert.equal(
    limited.seconds,
    limited.bytes / 65_536,
    'the last upload was faster than the limit lets it be',
  );

  await mutateData(world.data, { seed: 1, round: 1 });
  const increment = await estimate(world, '--rate', '8Mbit');
  assert.deepEqual([increment.kind, increment.exact, increment.chain.backups], ['incremental', true, 2]);
  assert.equal(increment.seconds, increment.bytes / 1e6);
  const second = await world.backup();
  assert.equal(increment.bytes, second.manifest.total_bytes);
  assert.equal(increment.chain.bytes, first.manifest.total_bytes + second.manifest.total_bytes);

  const prices = join(world.directory, 'prices.json');
  const classes = { STANDARD: { storage_gib_month: 0.5, put_per_1000: 1, get_per_1000: 1 } };
  const regions = { 'us-east-1': { date: '2026-11', source: 'mine', classes } };
  await writeFile(prices, JSON.stringify({ currency: 'USD', regions }));
  const { stdout } = await mustSucceed(world, 'estimate.ts', '--set', `PRICES=${prices}`, '--rate', '20Mbit');
  assert.match(stdout, /^data: incremental: on the incremental of /);
  assert.match(stdout, /\n {2}takes {10}\S+ at 2\.38 MiB\/s, RATE=20Mbit\n/);
  assert.match(stdout, /\n {4}Standard {5}\S+ transfer: \$[\d.]+ \+ transfer price not known\n/);
  assert.match(stdout, /\nprices of us-east-1, 2026-11: mine\n$/);
  for (const line of stdout.split('\n')) assert.ok(line.length <= 80, line);
});

test('what is stored compressed is estimated as it lies on disk', async (t) => {
  const world = await createWorld(t, {}, 1024 * 2 ** 20);
  await shell`btrfs property set ${world.data} compression zstd`;
  await mkdir(join(world.data, 'logs'));
  const line = () =>
    `${randomBytes(12).toString('hex')} GET /index.html HTTP/1.1 200 some words that repeat\n`;
  for (let file = 0; file < 20; file++) {
    await writeFile(join(world.data, `logs/${file}`), Array.from({ length: 10_000 }, line).join(''));
  }
  await shell`btrfs filesystem sync ${world.data}`;
  const { bytes, exact } = await estimate(world);
  const { manifest } = await world.backup();
  assert.equal(exact, false);
  const deviation = bytes / manifest.total_bytes - 1;
  assert.ok(Math.abs(deviation) < 0.02, `${bytes} for ${manifest.total_bytes}`);
  assert.ok(manifest.total_bytes < 12 * 2 ** 20, 'it was sent compressed');
});

test('what is so small that it is compressed in the metadata is only about what is sent', async (t) => {
  const world = await createWorld(t, {}, 512 * 2 ** 20);
  await shell`btrfs property set ${world.data} compression zstd`;
  for (let file = 0; file < 20; file++) await writeFile(join(world.data, `small-${file}`), 'x'.repeat(1500));
  await shell`btrfs filesystem sync ${world.data}`;
  const { bytes, exact } = await estimate(world);
  const { manifest } = await world.backup();
  assert.ok(manifest.total_bytes < bytes, 'they were sent compressed');
  assert.equal(exact, false);
});

test('a killed estimate leaves a snapshot that the next one, or the next backup, removes', async (t) => {
  const world = await createWorld(t, {}, 512 * 2 ** 20);
  const own = join(world.snapshots, estimateSnapshotName('data', { RUN_DIR: world.runDirectory }));
  const leave = () => shell`btrfs subvolume snapshot -r ${world.data} ${own}`;
  await leave();
  await estimate(world);
  assert.deepEqual(await namesIn(world.snapshots), []);
  await leave();
  // It may be measuring at this moment.
  const ofOther = estimateSnapshotName('data', { RUN_DIR: join(world.directory, 'other') });
  await shell`btrfs subvolume snapshot -r ${world.data} ${join(world.snapshots, ofOther)}`;
  const { manifest } = await world.backup();
  assert.deepEqual(await namesIn(world.snapshots), [ofOther, manifest.snapshot.name]);
  // One that was killed before it made it read-only.
  await shell`btrfs subvolume snapshot ${world.data} ${own}`;
  await world.backup();
  assert.equal(await pathExists(own), false);
});
