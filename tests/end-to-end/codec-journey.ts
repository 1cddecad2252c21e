/** Backups through a codec: killed and resumed, and read by everything that reads them. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { replayJournal } from '../../lib/core/plan/resume.ts';
import { readJournal } from '../../lib/edge/files/journal.ts';
import { extract, planExtract } from '../../lib/stage/restore/extract/extract.ts';
import { drillEach } from '../../lib/stage/watch/drill/drills.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { runScript } from '../support/script-within.ts';
import { processesAbout, startScript, until, whileRunning } from './running-script.ts';
import { hostIn } from './within-process.ts';
import { createWorld, type World } from './world.ts';

const mib = 2 ** 20;

/** A codec and a protocol, as settings. */
export type CodecSettings = Readonly<Record<string, string>>;

/** Parts that the journal says are in the bucket, as `chunk/part`. */
async function journalled(world: World): Promise<readonly string[]> {
  const journal = await readJournal(join(world.runDirectory, 'data/upload.jsonl'));
  return [...replayJournal(journal).chunks].flatMap(([index, { parts }]) =>
    [...parts.keys()].map((number) => `${index}/${number}`),
  );
}

/** Parts that were sent since a number of requests. */
function sent(world: World, since: number): readonly string[] {
  return world.server.requests
    .slice(since)
    .filter(({ operation }) => operation === 'UploadPart')
    .map(({ key, partNumber }) => `${Number(/-(\d{5})\.bin$/.exec(key ?? '')?.[1])}/${partNumber}`);
}

/** Writes so much content of which some compresses and some does not. */
export async function fill(data: string, megabytes: number): Promise<void> {
  const mixed = Array.from({ length: Math.ceil(megabytes / 5) }, () => [
    randomBytes(2 * mib),
    Buffer.alloc(2 * mib),
    randomBytes(mib),
  ]);
  await writeFile(join(data, 'mixed'), Buffer.concat(mixed.flat()));
  await writeFile(join(data, 'zeros'), Buffer.alloc(20 * mib));
}

/**
 * Kills an upload again and again: what the journal has must not be sent again. Then publishes it, and verifies and restores it with the
 * scripts, as people do.
 */
export async function backUpThroughKills(
  world: World,
  settings: CodecSettings,
  kills: number,
): Promise<void> {
  const config = await world.settingsFile(settings);
  const { DECRYPT_WITH: _, ...blind } = settings;
  const sending = await world.settingsFile(blind);
  const run = async (script: string, file: string, ...args: readonly string[]) => {
    const result = await runScript(script, ['--config', file, ...args]);
    assert.equal(result.exitCode, 0, `${script}: ${result.stderr}`);
    return result;
  };
  await run('snapshot.ts', sending);
  // Slow enough that something is left to send.
  world.server.faults.set([{ fault: 'slow', bytesPerSecond: 16 * mib, operation: 'UploadPart' }]);
  let kept: readonly string[] = [];
  for (let count = 0; count < kills; count++) {
    const since = world.server.requests.length;
    const running = startScript(world, sending, 'send-chunk-upload.ts');
    // At various moments: when something was just stored, and while something is under way.
    if (count % 2 === 0) await whileRunning(running, 'a part is sent', () => sent(world, since).length > 0);
    else {
      const isMore = async () => (await journalled(world)).length > kept.length;
      await whileRunning(running, 'a part is stored', isMore);
    }
    running.child.kill('SIGKILL');
    await running.ended;
    const again = sent(world, since).filter((part) => kept.includes(part));
    assert.deepEqual(again, [], `after ${count} kills`);
    kept = await journalled(world);
    await until('no child lives on', async () => (await processesAbout(world.mount)).length === 0);
  }
  world.server.faults.clear();
  assert.ok(kept.length >= kills / 2, kept.join());
  const since = world.server.requests.length;
  await run('send-chunk-upload.ts', sending);
  const again = sent(world, since).filter((part) => kept.includes(part));
  assert.deepEqual(again, []);
  await run('manifest.ts', sending);
  assert.match((await run('verify.ts', config)).stdout, /^sound: 1 manifest, /);
  assert.match((await run('verify.ts', config, '--deep')).stdout, /^sound: 1 manifest, .*\(every byte\)/);
  const target = join(world.mount, 'restored');
  await run('restore.ts', config, '--subvolume', 'data', '--target', target);
  assert.deepEqual(await treeDigest(target), await treeDigest(world.data));
  await shell`btrfs subvolume delete ${target}`;
}

/** Continues as another machine what was backed up (CONTINUE=1), and reads it by extract, drill and restore. */
export async function proveReaders(
  t: TestContext,
  world: World,
  settings: CodecSettings,
  file: string,
): Promise<void> {
  const other = await createWorld(t, {}, 768 * mib);
  await shell`btrfs subvolume delete ${other.data}`;
  const spool = join(other.directory, 'spool');
  const own = { SNAPSHOT_DIR: other.snapshots, RUN_DIR: other.runDirectory, SPOOL_DIR: spool };
  const host = await hostIn(world, {
    settings: { ...settings, ...own },
    path: other.data,
    hostName: 'host-2',
    hostId: 'host-2',
  });
  await host.restore(other.data, {}, { continuesChain: true });
  assert.deepEqual(await treeDigest(other.data), await treeDigest(world.data));
  await writeFile(join(other.data, 'new'), randomBytes(mib));
  const next = await host.backUp();
  assert.equal(next.manifest.kind, 'incremental', next.reason);
  assert.equal(next.manifest.snapshot.parent_continued, true);

  const reader = await hostIn(world, { settings: { ...settings, SPOOL_DIR: spool } });
  const { findings, sealed } = await reader.verify(true);
  assert.deepEqual([findings, sealed], [[], 0]);
  const target = join(world.mount, 'restored');
  await reader.restore(target);
  assert.deepEqual(await treeDigest(target), await treeDigest(other.data));
  await shell`btrfs subvolume delete ${target}`;

  const to = join(other.directory, 'extracted');
  const request = { subvolume: 'data', selection: {}, thaw: {}, paths: `/new /${file}`, to };
  await extract(reader.context, await planExtract(reader.context, request), true);
  for (const name of ['new', file]) {
    assert.ok((await readFile(join(to, name))).equals(await readFile(join(other.data, name))), name);
  }
  const drill = { subvolume: 'data', selection: {}, thaw: {}, verifyMode: 'full', mayWait: true } as const;
  const [result] = await drillEach(
    reader.context,
    { ...drill, cadence: undefined, isDryRun: false },
    () => undefined,
  );
  assert.ok(result?.did === 'drill', JSON.stringify(result));
  assert.deepEqual([result.outcome.failure, result.outcome.record.result], [undefined, 'sound']);
}
