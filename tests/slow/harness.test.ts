/** The integration harness, killed where it hurts: whatever is left is found and removed. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  AbortMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { mountPointsBelow } from '../../testing/harness/mount-table.ts';
import { processesWithMark } from '../../testing/harness/processes/marked-processes.ts';
import { placesIn } from '../../testing/harness/runner/places.ts';
import { openHarnessBucket } from '../../testing/harness/steps/bucket.ts';
import { repositoryRoot, testDirectory } from '../../testing/harness/test-directory.ts';
import { startS3Server } from '../../testing/s3-server/server.ts';
import { cleanUpAfter, runProcess, type ScriptResult } from '../end-to-end/world.ts';

/** A run of the harness in a directory of its own. */
interface Harness {
  readonly directory: string;
  step(name: string, ...args: readonly string[]): Promise<ScriptResult>;
  /** Starts a whole run, and sends the signal once it has said this; resolves when it has ended. */
  stopRunAll(
    when: RegExp,
    signal: NodeJS.Signals,
  ): Promise<{ readonly exitCode: number | null; readonly said: string }>;
  /** What is there that should not be there after a teardown. */
  leftovers(): Promise<readonly string[]>;
}

async function createHarness(
  test: TestContext,
  environment: Readonly<Record<string, string>> = {},
): Promise<Harness> {
  const cleanUp = cleanUpAfter(test);
  const directory = await mkdtemp(join(testDirectory(), 'harness-'));
  const config = join(directory, 'test.env');
  const lines = [
    `HARNESS_RUN_DIR=${directory}`,
    'IMAGE_SIZE=1GiB',
    'SEED_FILES=64',
    'SEED_SIZE=4MiB',
    'INTERRUPT_SIZE=64MiB',
    'CHUNK_SIZE=6MiB',
    'PART_SIZE=5MiB',
    'STORAGE_CLASS_CHUNKS=STANDARD',
  ];
  await writeFile(config, lines.map((line) => `${line}\n`).join(''));
  const argumentsOf = (name: string) => ['--import', 'tsx', `testing/scripts/${name}.ts`, '--config', config];
  const step = (name: string, ...args: readonly string[]) =>
    runProcess('node', [...argumentsOf(name), ...args], environment);
  cleanUp(() => rm(directory, { recursive: true, force: true }));
  // The directory is removed only when nothing is mounted in it any more.
  cleanUp(async () => assert.equal((await step('teardown-btrfs')).exitCode, 0));
  return {
    directory,
    step,
    async stopRunAll(when, signal) {
      const child = spawn('node', argumentsOf('run-all'), {
        cwd: repositoryRoot,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const exited = once(child, 'exit');
      let said = '';
      for await (const text of child.stdout.setEncoding('utf8')) {
        said += text;
        if (when.test(said) && !child.killed) child.kill(signal);
        if (signal === 'SIGKILL' && child.killed) break;
      }
      const [exitCode] = await exited;
      assert.match(said, when);
      return { exitCode, said };
    },
    async leftovers() {
      const loops = execFileSync('losetup', ['--list', '--noheadings', '--output', 'BACK-FILE'], {
        encoding: 'utf8',
      });
      const made = (await readdir(directory)).filter((name) => !['lock', 'logs', 'test.env'].includes(name));
      const marked = await processesWithMark(`BTRFS_TO_S3_HARNESS=${directory}`);
      return [
        ...(await mountPointsBelow(directory)),
        ...loops.split('\n').filter((line) => line.includes(directory)),
        ...marked.map((pid) => `process ${pid}`),
        ...made,
      ];
    },
  };
}

test('Ctrl-C in the middle of an upload ends the run in order: exit code 130, and nothing is left', async (t) => {
  const harness = await createHarness(t);
  const { exitCode, said } = await harness.stopRunAll(/run-interrupt\n(.*\n)*.*home: changed/, 'SIGINT');
  assert.equal(exitCode, 130);
  assert.match(said, /teardown-btrfs\n +everything that was set up is gone again\n$/);
  assert.deepEqual(await harness.leftovers(), []);
});

test('after SIGKILL the steps that live on are ended, and teardown leaves nothing', async (t) => {
  const harness = await createHarness(t);
  await harness.stopRunAll(/ run-full\n/, 'SIGKILL');
  assert.notDeepEqual(await harness.leftovers(), [], 'the filesystem and the server are still there');
  const { exitCode, stdout } = await harness.step('teardown-btrfs');
  assert.deepEqual([exitCode, stdout], [0, 'everything that was set up is gone again\n']);
  assert.deepEqual(await harness.leftovers(), []);
});

test('after SIGKILL during setup the next run begins by cleaning up', async (t) => {
  const harness = await createHarness(t);
  await harness.stopRunAll(/is mounted on/, 'SIGKILL');
  const { exitCode, stdout } = await harness.step('run-all', '--skip-s3');
  assert.equal(exitCode, 0, stdout);
  assert.match(stdout, /an earlier run was not torn down: that was done first/);
  assert.match(stdout, /skipped, needs S3: run-restore/);
  assert.deepEqual(await harness.leftovers(), []);
});

test('a step that lives on is ended although nothing is recorded yet', async (t) => {
  const harness = await createHarness(t);
  const step = spawn('sleep', ['60'], {
    env: { PATH: process.env.PATH, BTRFS_TO_S3_HARNESS: harness.directory },
    stdio: 'ignore',
  });
  await once(step, 'spawn');
  const { stdout } = await harness.step('teardown-btrfs');
  assert.equal(stdout, 'nothing is set up\n');
  assert.deepEqual(await harness.leftovers(), []);
});

test('two runs do not meet: the second says who is there, and touches nothing', async (t) => {
  const harness = await createHarness(t);
  const running = harness.stopRunAll(/ mutate-data\n/, 'SIGTERM');
  for (;;) {
    const { exitCode, stderr } = await harness.step('teardown-btrfs');
    if (exitCode === 0) continue;
    assert.equal(exitCode, 3);
    assert.match(stderr, /^teardown-btrfs: another run holds the lock .*: process \d+, since /);
    break;
  }
  assert.equal((await running).exitCode, 143, 'it went on until it was stopped');
  assert.deepEqual(await harness.leftovers(), []);
});

test('a run that was set up with other settings does not resume', async (t) => {
  const harness = await createHarness(t);
  assert.equal((await harness.step('setup-btrfs', '--skip-s3')).exitCode, 0);
  const other = join(harness.directory, 'other.env');
  await writeFile(other, `HARNESS_RUN_DIR=${harness.directory}\nSEED=9\n`);
  const { exitCode, stderr } = await harness.step('seed-data', '--config', other);
  assert.equal(exitCode, 1);
  assert.match(
    stderr,
    /this run was set up with .*test\.env, not with .*other\.env; give --config .*test\.env/,
  );
  await rm(other);
  assert.match((await harness.step('run-full')).stderr, /the harness was set up without S3/);
  assert.equal((await harness.step('seed-data')).exitCode, 0);
  assert.equal((await harness.step('mutate-data')).exitCode, 0);
  assert.equal((await harness.step('mutate-data')).exitCode, 0, 'it can be run again');
});

test('each verification holds, until what it looks at is broken', async (t) => {
  const harness = await createHarness(t);
  const places = placesIn(harness.directory);
  const backup = ['setup-btrfs', 'seed-data', 'run-full', 'mutate-data', 'run-incremental'];
  const verifications = ['verify-manifest', 'verify-s3', 'verify-retention', 'verify-restore'];
  for (const name of backup) assert.equal((await harness.step(name)).exitCode, 0, name);
  assert.match((await harness.step('verify-restore')).stderr, /6 of 7 checks failed/);
  for (const point of ['full', 'latest']) {
    assert.equal((await harness.step('run-restore', '--point', point)).exitCode, 0, point);
  }
  for (const name of verifications) assert.equal((await harness.step(name)).exitCode, 0, name);

  const fails = async (name: string, expected: RegExp) => {
    const { exitCode, stderr } = await harness.step(name);
    assert.equal(exitCode, 1, name);
    assert.match(stderr, expected);
  };
  const bucket = await openHarnessBucket(places);
  t.after(() => bucket.close());
  const stray = { Bucket: bucket.name, Key: `${bucket.prefix}/subvol/data/full/stray` };
  await bucket.client.send(new PutObjectCommand({ ...stray, Body: 'x' }));
  await fails('verify-s3', /nothing else is there: \["[^"]*\/stray"\]/);
  await bucket.client.send(new DeleteObjectCommand(stray));
  await bucket.client.send(new CreateMultipartUploadCommand({ ...stray }));
  await fails('verify-s3', /no upload is unfinished/);
  for (const { Key, UploadId } of await bucket.uploads()) {
    await bucket.client.send(new AbortMultipartUploadCommand({ Bucket: bucket.name, Key, UploadId }));
  }
  const chunk = (await bucket.list()).find(({ key }) => key.endsWith('-00000.bin'))?.key ?? assert.fail();
  const bytes = await bucket.read(chunk);
  bytes.writeUInt8(bytes.readUInt8(7) ^ 1, 7);
  await bucket.client.send(new PutObjectCommand({ Bucket: bucket.name, Key: chunk, Body: bytes }));
  await fails('verify-s3', /has its bytes/);

  const [copy = assert.fail()] = await readdir(places.manifests);
  await rm(join(places.manifests, copy));
  await fails('verify-manifest', /the tool left a copy of each manifest; there are no other copies: 5/);
  const [snapshot = assert.fail()] = await readdir(places.snapshots);
  execFileSync('btrfs', ['subvolume', 'delete', join(places.snapshots, snapshot)]);
  await fails('verify-retention', /the newest 2 snapshots are kept/);
  const [restored = assert.fail()] = await readdir(places.restored);
  await appendFile(join(places.restored, restored, 'layouts/empty-file'), 'x');
  await fails('verify-restore', /has 1 difference: layouts\/empty-file differs/);
});

test('a bucket of one’s own is left as it was, whatever the order of the steps', async (t) => {
  const directory = await mkdtemp(join(testDirectory(), 'harness-s3-'));
  const account = { accessKeyId: 'own', secretAccessKey: 'own-secret' };
  const server = await startS3Server({ directory, ...account, buckets: ['my-bucket'] });
  const environment = {
    S3_SERVER: 'env',
    S3_BUCKET: 'my-bucket',
    AWS_ENDPOINT_URL_S3: server.endpoint,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: account.accessKeyId,
    AWS_SECRET_ACCESS_KEY: account.secretAccessKey,
  };
  // Undone before the harness is torn down, which then has to do without the server.
  t.after(async () => {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  });
  const wrong = await createHarness(t, { ...environment, AWS_SECRET_ACCESS_KEY: 'wrong' });
  const refused = await wrong.step('setup-btrfs');
  assert.equal(refused.exitCode, 1);
  assert.match(refused.stderr, /cannot use the bucket my-bucket: SignatureDoesNotMatch: .*; check S3_BUCKET/);
  assert.deepEqual(await wrong.leftovers(), [], 'nothing was made');

  const harness = await createHarness(t, environment);
  const objects = () => server.requests.filter(({ operation }) => operation === 'PutObject').length;
  for (const name of ['setup-btrfs', 'seed-data', 'run-full', 'cleanup-s3-prefix', 'run-full']) {
    const { exitCode, stderr } = await harness.step(name);
    assert.equal(exitCode, 0, `${name}: ${stderr}`);
  }
  assert.ok(objects() > 0);
  server.faults.set([{ fault: 'error', code: 'InternalError', operation: 'DeleteObject' }]);
  const failed = await harness.step('teardown-btrfs');
  assert.equal(failed.exitCode, 1);
  assert.match(
    failed.stderr,
    /objects of this run are left below my-bucket\/btrfs-to-s3-harness\/\w+-\w+\/: InternalError/,
  );
  assert.match(failed.stderr, /teardown-btrfs\.ts --leave-objects/);
  assert.match(
    (await harness.step('run-full')).stderr,
    /this run was torn down in part; run teardown-btrfs\.ts again/,
  );
  server.faults.clear();
  assert.equal((await harness.step('teardown-btrfs')).exitCode, 0);
  assert.deepEqual(await harness.leftovers(), []);
  const client = new S3Client({
    endpoint: server.endpoint,
    region: 'us-east-1',
    credentials: account,
    forcePathStyle: true,
  });
  assert.equal((await client.send(new ListObjectsV2Command({ Bucket: 'my-bucket' }))).KeyCount, 0);
  client.destroy();

  assert.equal((await harness.step('setup-btrfs')).exitCode, 0);
  await server.stop();
  assert.equal((await harness.step('teardown-btrfs')).exitCode, 1);
  assert.equal((await harness.step('teardown-btrfs', '--leave-objects')).exitCode, 0);
  assert.deepEqual(await harness.leftovers(), []);
});
