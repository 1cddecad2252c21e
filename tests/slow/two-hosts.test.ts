/** Two hosts that were given the same prefix by mistake: whoever publishes first has a backup that nothing damages. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import {
  createWorld,
  errorLines,
  namesIn,
  runProcess,
  type ScriptResult,
  type World,
} from '../end-to-end/world.ts';

const mib = 2 ** 20;

/** One of the hosts: a filesystem, a RUN_DIR and a name of its own. */
interface Host {
  readonly world: World;
  /** Runs a script as this host, by its clock if one is given. */
  run(script: string, ...args: readonly string[]): Promise<ScriptResult>;
}

/** A preload that stops the clock of a process; signatures are good for a quarter of an hour. */
function stoppedClock(at: number): string {
  const code = `const Real = Date;
    globalThis.Date = class extends Real {
      constructor(...args) { args.length === 0 ? super(${at}) : super(...args); }
      static now() { return ${at}; }
    };`;
  return `data:text/javascript,${encodeURIComponent(code)}`;
}

function hostOf(world: World, name: string, clockAt?: number): Host {
  const config = world.settingsFile();
  return {
    world,
    async run(script, ...args) {
      const clock = clockAt === undefined ? [] : ['--import', stoppedClock(clockAt)];
      const command = [
        'node',
        ...clock,
        '--import',
        'tsx',
        `scripts/${script}`,
        '--config',
        await config,
        ...args,
      ];
      const inner = ['hostname "$0" && exec "$@"', name, ...command];
      return runProcess('unshare', ['--uts', 'bash', '-c', ...inner]);
    },
  };
}

/** Two hosts before one bucket, each with data of its own; in the same second if a time is given. */
async function twoHosts(t: TestContext, clockAt?: number): Promise<readonly [a: Host, b: Host]> {
  const first = await createWorld(t);
  const second = await createWorld(t, { AWS_ENDPOINT_URL_S3: first.server.endpoint });
  for (const { data } of [first, second]) {
    // Of the same size, so that only their bytes tell one chunk from another.
    await mkdir(join(data, 'directory'));
    await writeFile(join(data, 'directory', 'random'), randomBytes(12 * mib));
  }
  return [hostOf(first, 'host-a', clockAt), hostOf(second, 'host-b', clockAt)];
}

const stages = { snapshot: 'snapshot.ts', upload: 'send-chunk-upload.ts', publish: 'manifest.ts' } as const;
type Stage = keyof typeof stages;

async function succeed(host: Host, stage: Stage): Promise<string> {
  const { exitCode, stdout, stderr } = await host.run(stages[stage]);
  assert.equal(exitCode, 0, `${stage}: ${stderr}`);
  return stdout;
}

async function isRefused(host: Host, script: string, says: RegExp): Promise<void> {
  const result = await host.run(script);
  assert.equal(result.exitCode, 1, `${script}: ${result.stdout}${result.stderr}`);
  const lines = errorLines(result);
  assert.equal(lines.length, 1, result.stderr);
  assert.match(lines[0] ?? '', says);
}

/** The bucket is sound, and the host's published backup restores to what the host has, bit for bit. */
async function restoresWhole({ world }: Host, name: string): Promise<void> {
  const target = join(world.mount, name);
  const verified = await world.run('verify.ts', '--deep');
  assert.equal(verified.exitCode, 0, verified.stdout);
  const restored = await world.run('restore.ts', '--subvolume', 'data', '--target', target);
  assert.equal(restored.exitCode, 0, restored.stderr);
  assert.deepEqual(await treeDigest(target), await treeDigest(world.data));
}

const anotherWriter = /another writer was first: .*; give each host its own S3_PREFIX/;

/** Goes through stages such as `snapshot A, snapshot B`; no two snapshots are of one second. */
async function goThrough(order: string, a: Host, b: Host): Promise<void> {
  let tookSnapshot = false;
  for (const word of order.split(', ')) {
    const [stage, host] = word.split(' ') as [Stage, 'A' | 'B'];
    if (stage === 'snapshot' && tookSnapshot) await sleep(1000);
    tookSnapshot ||= stage === 'snapshot';
    await succeed(host === 'A' ? a : b, stage);
  }
}

for (const order of [
  'snapshot A, snapshot B, upload A, upload B, publish A',
  'snapshot B, upload B, snapshot A, upload A, publish A',
  'snapshot B, snapshot A, upload A, publish A, upload B',
]) {
  test(`${order}: then B is not published, and what A has published restores`, async (t) => {
    const [a, b] = await twoHosts(t);
    await goThrough(order, a, b);
    const names = await namesIn(b.world.snapshots);
    await isRefused(b, stages.publish, anotherWriter);
    await restoresWhole(a, 'restored');
    assert.deepEqual(await namesIn(b.world.snapshots), names, 'what B has stays');
  });
}

test('the host that lost reads whose backups are there, and can take the prefix over', async (t) => {
  const [a, b] = await twoHosts(t);
  await goThrough('snapshot B, upload B, snapshot A, upload A, publish A', a, b);
  const [snapshot] = await namesIn(b.world.snapshots);
  const whose = (name: string) =>
    new RegExp(`the last backup of data under \\S+ is of host ${name}, .*; give each host its own S3_PREFIX`);
  const refused = await b.run(stages.snapshot);
  assert.equal(refused.exitCode, 1);
  assert.match(errorLines(refused).join(), whose('host-a'));
  assert.match(refused.stderr, /an unfinished backup is given up: another backup was published meanwhile/);
  assert.ok(!(await namesIn(b.world.snapshots)).includes(snapshot ?? ''), 'the snapshot of no use is gone');
  await isRefused(b, stages.upload, /no snapshot of data is prepared; run: make snapshot/);
  await restoresWhole(a, 'restored');

  const takenOver = await b.run(stages.snapshot, '--kind', 'full');
  assert.equal(takenOver.exitCode, 0, takenOver.stderr);
  await goThrough('upload B, publish B', a, b);
  await restoresWhole(b, 'restored');
  await isRefused(a, stages.snapshot, whose('host-b'));
});

test('two hosts of one name: the second is refused, and can take the prefix over', async (t) => {
  const [a, b] = await twoHosts(t);
  const twin = hostOf(b.world, 'host-a');
  await goThrough('snapshot A, upload A, publish A', a, b);
  await isRefused(
    twin,
    stages.snapshot,
    /of host host-a is of filesystem .*; give each host its own S3_PREFIX/,
  );
  const takenOver = await twin.run(stages.snapshot, '--kind', 'full');
  assert.equal(takenOver.exitCode, 0, takenOver.stderr);
  await goThrough('upload B, publish B', a, twin);
  await restoresWhole(twin, 'restored');
});

/** A full backup at this second, so that every key of both hosts is the same. */
const sameSecond = () => Math.floor(Date.now() / 1000) * 1000;

for (const [order, second] of [
  ['snapshot A, snapshot B, upload A', 'upload B'],
  ['snapshot B, snapshot A, upload A, publish A', 'upload B'],
] as const) {
  test(`in the same second, ${order}: then ${second} stores nothing over what is there`, async (t) => {
    const [a, b] = await twoHosts(t, sameSecond());
    await goThrough(order, a, b);
    await isRefused(b, stages.upload, /another writer was first: \S+ exists already/);
    assert.deepEqual(await namesIn(b.world.snapshots), [], 'what is of no use is given up');
    if (!order.includes('publish')) await succeed(a, 'publish');
    await restoresWhole(a, 'restored');
    const { Uploads = [] } = await a.world.client.send(
      new ListMultipartUploadsCommand({ Bucket: 'backups' }),
    );
    assert.deepEqual(Uploads, [], 'no upload of either is left');
    await isRefused(b, stages.publish, /nothing to publish for data: no snapshot is prepared/);
  });
}

test('in the same second, both uploading at once: at most one stores all of it, and what is published is whole', async (t) => {
  const [a, b] = await twoHosts(t, sameSecond());
  await goThrough('snapshot A, snapshot B', a, b);
  const uploads = await Promise.all([a.run(stages.upload), b.run(stages.upload)]);
  // Each may have been first for another chunk: then neither goes on, and both begin anew.
  const stored = [a, b].filter((_, index) => uploads[index]?.exitCode === 0);
  assert.ok(stored.length <= 1, 'not both of them stored every chunk');
  for (const refused of uploads.filter(({ exitCode }) => exitCode !== 0)) {
    assert.match(errorLines(refused).join(), anotherWriter);
  }
  for (const host of stored) {
    await succeed(host, 'publish');
    await restoresWhole(host, 'restored');
  }
});
