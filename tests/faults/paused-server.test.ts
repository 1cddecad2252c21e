/**
 * The line is down for more than a minute: the server's process is suspended, so that connections stay open, and new ones are
 * taken by the kernel, but nothing is answered. Only the idle timeout of a minute can notice.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';
import { startServerProcess } from '../../testing/harness/servers/local-server.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import type { FaultRule } from '../../testing/s3-server/faults/fault-rules.ts';
import type { FaultStatus } from '../../testing/s3-server/faults/faults.ts';
import type { RequestRecord } from '../../testing/s3-server/http/request.ts';
import {
  processesAbout,
  type RunningScript,
  startScript,
  suspend,
  whileRunning,
} from '../end-to-end/running-script.ts';
import {
  assertFailed,
  chunkBytes,
  concurrency,
  partBytes,
  slowDownload,
  slowUpload,
  storedBytes,
} from '../end-to-end/under-way.ts';
import { createWorld, mustSucceed, namesIn, type World } from '../end-to-end/world.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const mib = 2 ** 20;
const directory = temporaryDirectory('paused-server');

/** As lib/edge/s3/s3-client.ts has it. */
const idleTimeoutMs = 60_000;
/** Bytes that are still under way in the kernel, and a slow machine. */
const noticesWithinMs = 20_000;

/** A world whose server is a process of its own, and can be suspended. */
interface FarWorld {
  readonly world: World;
  pause(): Promise<void>;
  goOn(): void;
  requests(): Promise<readonly RequestRecord[]>;
  faults(): Promise<readonly FaultStatus[]>;
  setFaults(rules: readonly FaultRule[]): Promise<unknown>;
  unfinishedUploads(): Promise<readonly string[]>;
}

async function createFarWorld(t: TestContext, changes: Readonly<Record<string, string>>): Promise<FarWorld> {
  const serverDirectory = await mkdtemp(join(directory, 's3-'));
  const server = await startServerProcess({
    directory: serverDirectory,
    bucket: 'backups',
    environment: { PATH: process.env.PATH ?? '' },
  });
  const [pid = assert.fail('the server does not run')] = await processesAbout(serverDirectory);
  const { endpoint, accessKeyId, secretAccessKey } = server;
  const world = await createWorld(t, {
    AWS_ENDPOINT_URL_S3: endpoint,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    ...changes,
  });
  const credentials = { accessKeyId, secretAccessKey };
  const client = new S3Client({ endpoint, forcePathStyle: true, region: 'us-east-1', credentials });
  world.cleanUp(async () => {
    process.kill(pid, 'SIGCONT');
    client.destroy();
    await server.stop();
  });
  const control = async <Answer>(what: string, body?: unknown): Promise<Answer> => {
    const headers = { authorization: `Bearer ${secretAccessKey}` };
    const put = body === undefined ? {} : { method: 'PUT', body: JSON.stringify(body) };
    const response = await fetch(`${endpoint}/-/control/${what}`, { headers, ...put });
    assert.equal(response.status, 200, what);
    return (await response.json()) as Answer;
  };
  return {
    world,
    pause: () => suspend(pid),
    goOn: () => void process.kill(pid, 'SIGCONT'),
    requests: () => control('requests'),
    faults: () => control('faults'),
    setFaults: (rules) => control('faults', rules),
    async unfinishedUploads() {
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: 'backups' }));
      return Uploads.map(({ Key = '' }) => Key);
    },
  };
}

/** An upload and, of the backup before it, a restore, both in the middle; and a server that has just fallen silent. */
interface Silenced {
  readonly upload: RunningScript;
  readonly restore: RunningScript;
  /** Restores the backup before. */
  readonly restoreFirst: readonly [script: string, ...args: string[]];
  readonly target: string;
  /** The snapshot of the backup before. */
  readonly first: string;
  readonly before: readonly RequestRecord[];
  readonly silentSinceMs: number;
}

async function silenceBoth(far: FarWorld): Promise<Silenced> {
  const { world } = far;
  await writeFile(join(world.data, 'random'), randomBytes(48 * mib));
  for (const script of ['snapshot.ts', 'send-chunk-upload.ts', 'manifest.ts'])
    await mustSucceed(world, script);
  const [first = ''] = await namesIn(world.snapshots);
  await writeFile(join(world.data, 'more'), randomBytes(48 * mib));
  await mustSucceed(world, 'snapshot.ts');

  const since = (await far.requests()).length;
  await far.setFaults([slowUpload, { ...slowDownload, bytesPerSecond: mib / 2 }]);
  const config = await world.settingsFile({ LOG_LEVEL: 'debug' });
  const target = join(world.mount, 'restored');
  const restoreFirst = ['restore.ts', '--subvolume', 'data', '--target', target] as const;
  const restore = startScript(world, config, ...restoreFirst);
  await whileRunning(restore, 'a part under way', async () => (await far.faults())[1]?.fired !== 0);
  const upload = startScript(world, config, 'send-chunk-upload.ts');
  await whileRunning(upload, 'some parts stored', async () => {
    return storedBytes({ requests: await far.requests() }, since) > 2 * partBytes;
  });
  const before = (await far.requests()).slice(since);
  await far.pause();
  assert.equal(restore.child.exitCode, null, restore.said());
  return {
    upload,
    restore,
    restoreFirst,
    target,
    first: join(world.snapshots, first),
    before,
    silentSinceMs: Date.now(),
  };
}

/** When a script noticed, by its log, in milliseconds since the server fell silent: once for each request under way. */
function noticed({ said }: RunningScript, silentSinceMs: number): readonly number[] {
  return said()
    .split('\n')
    .filter((line) => /"msg":"cannot .*\(attempt 1\).*; trying again in /.test(line))
    .map((line) => Date.parse(JSON.parse(line).time) - silentSinceMs);
}

function assertNoticed(running: RunningScript, silentSinceMs: number, what: string): void {
  const times = noticed(running, silentSinceMs);
  assert.ok(times.length > 0 && times.length <= concurrency + 1, `${what}: ${times.length} requests failed`);
  for (const ms of times) {
    const isInTime = ms > idleTimeoutMs - noticesWithinMs && ms < idleTimeoutMs + noticesWithinMs;
    assert.ok(isInTime, `${what}: noticed after ${ms} ms`);
  }
}

const partOf = ({ key, partNumber }: RequestRecord) => `${key} ${partNumber ?? ''}`;
const isSent = ({ key, method }: RequestRecord) => method === 'PUT' && key?.endsWith('.bin') === true;

/** Publishes what was uploaded, and proves that it is the subvolume; both restores have to be what they should. */
async function proveBoth(far: FarWorld, { target, first }: Silenced): Promise<void> {
  const { world } = far;
  assert.deepEqual(await treeDigest(target), await treeDigest(first));
  await mustSucceed(world, 'manifest.ts');
  assert.deepEqual(await far.unfinishedUploads(), []);
  const proof = join(world.mount, 'proof');
  await mustSucceed(world, 'restore.ts', '--subvolume', 'data', '--target', proof);
  assert.deepEqual(await treeDigest(proof), await treeDigest(world.data));
  assert.deepEqual(await namesIn(world.mount), ['data', 'proof', 'restored', 'snapshots']);
  assert.deepEqual(await processesAbout(world.mount), []);
}

describe('a server that is silent', { concurrency: true }, () => {
  test('for 65 seconds in the middle of an upload and of a restore: both go on by themselves', async (t) => {
    const far = await createFarWorld(t, {});
    const silenced = await silenceBoth(far);
    const { upload, restore, before, silentSinceMs } = silenced;
    await sleep(65_000 - (Date.now() - silentSinceMs));
    far.goOn();
    await far.setFaults([]);
    const wentOnAtMs = Date.now();
    for (const [what, running] of Object.entries({ upload, restore })) {
      const { exitCode, stderr } = await running.ended;
      assert.equal(exitCode, 0, `${what}: ${stderr}`);
      assertNoticed(running, silentSinceMs, what);
    }
    const tookMs = Date.now() - wentOnAtMs;
    assert.ok(tookMs < idleTimeoutMs / 2, `${tookMs} ms after the server was back`);

    const sent = (await far.requests()).filter(isSent).map(partOf);
    const twice = new Set(sent.filter((part, at) => sent.indexOf(part) !== at));
    const stored = before.filter((request) => isSent(request) && request.status === 200).map(partOf);
    assert.ok(twice.size > 0 && twice.size <= concurrency, [...twice].join(', '));
    assert.ok(stored.length > 0);
    assert.deepEqual(
      stored.filter((part) => twice.has(part)),
      [],
      'what was stored is not sent again',
    );
    await proveBoth(far, silenced);
  });

  test('for longer than RETRY_FOR: both end in one line, and the next runs go on', async (t) => {
    const far = await createFarWorld(t, { RETRY_FOR: '5s' });
    const silenced = await silenceBoth(far);
    const { upload, restore, restoreFirst, silentSinceMs } = silenced;
    const { world } = far;
    const [uploaded, restored] = await Promise.all([upload.ended, restore.ended]);
    const tookMs = Date.now() - silentSinceMs;
    // RETRY_FOR begins with the first failure, and an attempt that began in time may take another minute to fail.
    assert.ok(tookMs > idleTimeoutMs - noticesWithinMs && tookMs < 3 * idleTimeoutMs, `${tookMs} ms`);
    const says = /: the network failed \(bucket backups, http.*\); run again when the network is back$/;
    await assertFailed(world, uploaded, new RegExp(`^cannot (begin|store|complete) .*${says.source}`));
    await assertFailed(world, restored, new RegExp(`^cannot read .*${says.source}`));

    far.goOn();
    await far.setFaults([]);
    const since = (await far.requests()).length;
    const stored = storedBytes({ requests: silenced.before });
    await mustSucceed(world, 'send-chunk-upload.ts');
    const sent = chunkBytes({ requests: await far.requests() }, since);
    assert.ok(sent <= 49 * mib - stored + partBytes, `${sent} bytes, though ${stored} were stored`);
    await mustSucceed(world, ...restoreFirst);
    await proveBoth(far, silenced);
  });
});
