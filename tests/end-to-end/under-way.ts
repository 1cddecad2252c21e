/** Uploads and restores that are slow enough for something to break in the middle of them, and what must hold afterwards. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import type { RequestRecord } from '../../testing/s3-server/http/request.ts';
import type { S3Server } from '../../testing/s3-server/server.ts';
import {
  type EndedScript,
  processesAbout,
  type RunningScript,
  startScript,
  whileRunning,
} from './running-script.ts';
import {
  allKeys,
  createWorld,
  errorLines,
  mustSucceed,
  namesIn,
  type ScriptResult,
  type World,
} from './world.ts';

const mib = 2 ** 20;

/** The parts of a world without changes: 5 MiB, four at once. */
export const partBytes = 5 * mib;
export const concurrency = 4;

/** Parts take more than a second. */
export const slowUpload = {
  fault: 'slow',
  bytesPerSecond: 4 * mib,
  operation: ['UploadPart', 'PutObject'],
} as const;

/** So do they on the way back. */
export const slowDownload = {
  fault: 'slow',
  bytesPerSecond: 4 * mib,
  operation: 'GetObject',
  key: '*.bin',
} as const;

/** RETRY_FOR is half an hour; what is under way may still end. */
const atOnceMs = 60_000;

/** Data of 60 MiB that is new. */
export async function addData(world: World): Promise<void> {
  await writeFile(join(world.data, 'random'), randomBytes(60 * mib));
}

/** A world with something to back up. */
export async function worldWithData(t: TestContext): Promise<World> {
  const world = await createWorld(t);
  await addData(world);
  return world;
}

/** How a script ended, which must not take longer than what was under way, nor be put off. */
export async function endsAtOnce({ said, ended }: RunningScript): Promise<EndedScript> {
  const tooLate = sleep(atOnceMs, undefined, { ref: false });
  const result = await Promise.race([ended, tooLate]);
  assert.doesNotMatch(said(), /trying again/);
  return result ?? assert.fail(`it still runs after ${atOnceMs} ms: ${said()}`);
}

/** A server, or what it was asked. */
interface Requests {
  readonly requests: readonly RequestRecord[];
}

/** Bytes of chunks that a server received, from a request on. */
export function chunkBytes({ requests }: Requests, since = 0): number {
  return requests
    .slice(since)
    .filter(({ key }) => key?.endsWith('.bin'))
    .reduce((sum, { bytesReceived }) => sum + bytesReceived, 0);
}

/** Bytes of chunks that a server received and has, from a request on. */
export function storedBytes({ requests }: Requests, since = 0): number {
  return requests
    .slice(since)
    .filter(({ key, method, status }) => key?.endsWith('.bin') && method === 'PUT' && status === 200)
    .reduce((sum, { bytesReceived }) => sum + bytesReceived, 0);
}

/** An upload of which some parts are stored and a chunk is whole; of 60 MiB, `btrfs send` still has some to send. */
export async function uploadUnderWay(world: World): Promise<RunningScript> {
  await mustSucceed(world, 'snapshot.ts');
  world.server.faults.set([slowUpload]);
  const before = world.server.requests.length;
  const upload = startScript(world, await world.settingsFile(), 'send-chunk-upload.ts');
  await whileRunning(upload, 'some parts stored, a chunk whole', () => {
    const since = world.server.requests.slice(before);
    const isWhole = since.some(
      ({ operation, status }) => operation === 'CompleteMultipartUpload' && status === 200,
    );
    return isWhole && storedBytes(world.server, before) > 2 * partBytes;
  });
  return upload;
}

/** A restore of which a part is under way. */
export async function restoreUnderWay(
  world: World,
  target: string,
  server: S3Server = world.server,
): Promise<RunningScript> {
  server.faults.set([slowDownload]);
  const selection = ['--subvolume', 'data', '--target', target];
  const restore = startScript(world, await world.settingsFile(), 'restore.ts', ...selection);
  await whileRunning(restore, 'a part under way', () => server.faults.list()[0]?.fired !== 0);
  return restore;
}

/** Waits until `btrfs receive` of a restore has made its subvolume. @returns its process */
export async function receiving(world: World, restore: RunningScript): Promise<number> {
  let pid = 0;
  await whileRunning(restore, 'btrfs receive at work', async () => {
    const [staging] = (await namesIn(world.mount)).filter((name) => name.startsWith('.btrfs-to-s3-restore-'));
    [pid = 0] = await processesAbout(world.mount, 'btrfs receive');
    return pid !== 0 && staging !== undefined && (await namesIn(join(world.mount, staging))).length > 0;
  });
  return pid;
}

/** Keys of multipart uploads that are neither complete nor given up. */
export async function unfinishedUploads(world: World): Promise<readonly string[]> {
  const { Uploads = [] } = await world.client.send(new ListMultipartUploadsCommand({ Bucket: 'backups' }));
  return Uploads.map(({ Key = '' }) => Key);
}

/**
 * The whole answer to a failure: exit code 1, one line that says so, no child that lives on, and in the filesystem only what was
 * there before.
 */
export async function assertFailed(
  world: World,
  ended: EndedScript | ScriptResult,
  line: RegExp,
  names: readonly string[] = ['data', 'snapshots'],
): Promise<void> {
  assert.equal(ended.exitCode, 1, ended.stderr);
  const lines = errorLines(ended);
  assert.equal(lines.length, 1, ended.stderr);
  assert.match(lines[0] ?? '', line);
  assert.doesNotMatch(ended.stderr, /this is a defect/);
  assert.deepEqual(await processesAbout(world.mount), [], 'no child lives on');
  assert.deepEqual(await namesIn(world.mount), [...names].sort(), 'neither TARGET nor a staging directory');
}

/** Fails when a manifest or a pointer was written beyond those that were there. */
export async function assertPublished(world: World, manifests: number): Promise<void> {
  const keys = await allKeys(world);
  const found = keys.filter((key) => /\/manifest-[^/]+\.json$/.test(key));
  assert.equal(found.length, manifests, found.join());
  assert.equal(
    keys.some((key) => key.endsWith('/current.json')),
    manifests > 0,
  );
}

/**
 * Makes the next backup as a user would, and proves that it is the subvolume, to the bit.
 * @returns the bytes of its stream
 */
export async function proveBackup(world: World): Promise<number> {
  const { manifest } = await world.backup();
  const target = join(world.mount, 'proof');
  await mustSucceed(world, 'restore.ts', '--subvolume', 'data', '--target', target);
  assert.deepEqual(await treeDigest(target), await treeDigest(world.data));
  await shell`btrfs subvolume delete --commit-after ${target}`;
  return manifest.total_bytes;
}

/** Restores what is published last, and proves that it is the subvolume, to the bit. */
export async function proveRestore(world: World, target: string): Promise<void> {
  await mustSucceed(world, 'restore.ts', '--subvolume', 'data', '--target', target);
  assert.deepEqual(await treeDigest(target), await treeDigest(world.data));
}

/** Nothing that was whole was sent again since a request, no more than so many bytes were in all, and no upload is left. */
export async function assertSentOnce(
  world: World,
  {
    whole,
    since,
    mostBytes,
  }: { readonly whole: readonly string[]; readonly since: number; readonly mostBytes: number },
): Promise<void> {
  const sentAgain = world.server.requests
    .slice(since)
    .filter(({ key, bytesReceived }) => bytesReceived > 0 && whole.includes(key ?? ''));
  assert.deepEqual(sentAgain, []);
  const sent = chunkBytes(world.server);
  assert.ok(sent <= mostBytes, `${sent} bytes were sent where ${mostBytes} are allowed`);
  assert.deepEqual(await unfinishedUploads(world), []);
}
