/**
 * Ten hosts with three subvolumes of the same names each, before one bucket, all at once: what tells them apart is the prefix
 * alone. Against the embedded server, or with S3_SERVER=env against the one that the environment names.
 */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import pMap from 'p-map';
import { deleteObjects } from '../../lib/edge/s3/delete-objects.ts';
import { listKeys } from '../../lib/edge/s3/objects.ts';
import { type Bucket, openBucket } from '../../lib/edge/s3/s3-client.ts';
import { publishBackup } from '../../lib/stage/backup/publish/publish.ts';
import { prepareSnapshot } from '../../lib/stage/backup/snapshot.ts';
import { uploadSnapshot } from '../../lib/stage/backup/upload/upload.ts';
import { readManifest } from '../../lib/stage/bucket/backups.ts';
import type { StageContext } from '../../lib/stage/context.ts';
import { restoreBackup } from '../../lib/stage/restore/restore.ts';
import { createLoopFilesystem } from '../../testing/harness/loop-filesystem.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import type { BucketAccess } from '../../testing/harness/servers/bucket-access.ts';
import { readServerVariables } from '../../testing/harness/servers/server-variables.ts';
import { testDirectory } from '../../testing/harness/test-directory.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { startS3Server } from '../../testing/s3-server/server.ts';
import { cleanUpAfter, runProcess } from '../end-to-end/world.ts';
import { settingsOf } from '../support/settings.ts';
import { stageContext } from '../support/stage-context.ts';

const hostCount = 10;
const hostsAtOnce = 5;
const subvolumeNames = ['data', 'home', 'root'] as const;

/** One machine of the fleet: subvolumes, SNAPSHOT_DIR, RUN_DIR and S3_PREFIX of its own. */
interface Host {
  readonly prefix: string;
  readonly root: string;
  readonly context: StageContext;
  readonly subvolumes: readonly Subvolume[];
}

interface Subvolume {
  readonly name: string;
  readonly path: string;
}

type Target = BucketAccess & { readonly prefix: string };

async function chooseServer(cleanUp: ReturnType<typeof cleanUpAfter>, directory: string): Promise<Target> {
  if (process.env.S3_SERVER === 'env') return readServerVariables(process.env);
  const account = { accessKeyId: 'fleet', secretAccessKey: 'fleet-secret' };
  const server = await startS3Server({ directory: join(directory, 's3'), ...account, buckets: ['backups'] });
  cleanUp(() => server.stop());
  return { endpoint: server.endpoint, region: 'us-east-1', bucket: 'backups', ...account, prefix: '' };
}

function connect(settings: Readonly<Record<string, string>>): Promise<Bucket> {
  const signal = new AbortController().signal;
  const quiet = { signal, onRetry: () => undefined, onSlowDown: () => undefined };
  return openBucket(settingsOf(settings), 'host', quiet);
}

/** Content that no other subvolume has; the larger file makes a chunk of several parts. */
async function fill({ prefix }: Host, { name, path }: Subvolume, round: number): Promise<void> {
  await writeFile(join(path, 'whose'), `${prefix} ${name} ${round}\n`);
  await writeFile(join(path, `random-${round}`), randomBytes(name === 'data' ? 6 * 2 ** 20 : 30_000));
}

/** The stages of `make backup`, each for all subvolumes before the next. */
async function backUp({ context }: Host, subvolumes: readonly Subvolume[]): Promise<readonly string[]> {
  for (const each of subvolumes)
    await prepareSnapshot(context, each, { kind: 'auto', ifDue: false, dryRun: false });
  for (const each of subvolumes) await uploadSnapshot(context, each);
  const keys: string[] = [];
  for (const each of subvolumes) keys.push((await publishBackup(context, each)).manifestKey);
  return keys;
}

test('ten hosts with three subvolumes each share a bucket, and nothing of one is touched by another', async (t) => {
  const cleanUp = cleanUpAfter(t);
  const directory = await mkdtemp(join(testDirectory(), 'fleet-'));
  cleanUp(() => rm(directory, { recursive: true, force: true }));
  const filesystem = await createLoopFilesystem({ name: 'fleet', sizeBytes: 2 * 2 ** 30 });
  cleanUp(() => filesystem.remove());
  const server = await chooseServer(cleanUp, directory);
  const fleet = `${server.prefix}fleet-${randomUUID()}`;
  const credentials = {
    AWS_ACCESS_KEY_ID: server.accessKeyId,
    AWS_SECRET_ACCESS_KEY: server.secretAccessKey,
    AWS_EC2_METADATA_DISABLED: 'true',
  };
  Object.assign(process.env, credentials);
  const common = {
    S3_BUCKET: server.bucket,
    AWS_REGION: server.region,
    AWS_ENDPOINT_URL_S3: server.endpoint,
    STORAGE_CLASS_CHUNKS: 'STANDARD',
    CHUNK_SIZE: '8MiB',
    PART_SIZE: '5MiB',
    CONCURRENCY: '2',
  };
  const whole = await connect({ ...common, S3_PREFIX: fleet });
  cleanUp(async () => {
    const left = await listKeys(whole, `${fleet}/`);
    await deleteObjects(whole, left);
    whole.close();
  });

  const hosts = await pMap(Array.from({ length: hostCount }).keys(), async (number): Promise<Host> => {
    const prefix = `${fleet}/host-${number}`;
    const root = join(filesystem.mountPoint, `host-${number}`);
    const snapshots = join(root, 'snapshots');
    await mkdir(snapshots, { recursive: true });
    const subvolumes = subvolumeNames.map((name) => ({ name, path: join(root, name) }));
    for (const { path } of subvolumes) await shell`btrfs subvolume create ${path}`;
    const settings = {
      ...common,
      S3_PREFIX: prefix,
      SUBVOLUMES: subvolumes.map(({ path }) => path).join(','),
      SNAPSHOT_DIR: snapshots,
      RUN_DIR: join(directory, `run-${number}`),
    };
    const bucket = await connect(settings);
    cleanUp(async () => bucket.close());
    const context = { ...stageContext(bucket, settings).context, now: () => new Date() };
    return { prefix, root, context, subvolumes };
  });

  const manifests = new Map<Host, string[]>(hosts.map((host) => [host, []]));
  for (const round of [1, 2]) {
    await pMap(
      hosts,
      async (host) => {
        const changed = host.subvolumes.filter(({ name }) => round === 1 || name === 'data');
        for (const each of changed) await fill(host, each, round);
        manifests.get(host)?.push(...(await backUp(host, changed)));
      },
      { concurrency: hostsAtOnce },
    );
  }

  // Every key is of exactly one host, which knows it.
  const expected: string[] = [];
  for (const [{ prefix, context }, keys] of manifests) {
    assert.equal(keys.length, 4, prefix);
    expected.push(
      `${prefix}/RESTORE.txt`,
      `${prefix}/recover.sh`,
      ...subvolumeNames.map((name) => `${prefix}/subvol/${name}/current.json`),
    );
    for (const key of keys) {
      const { chunks } = await readManifest(context.bucket, key);
      expected.push(key, ...chunks.map((chunk) => chunk.key));
    }
  }
  assert.deepEqual([...(await listKeys(whole, `${fleet}/`))].sort(), expected.sort());
  assert.equal(new Set(expected).size, expected.length);
  for (const key of expected) {
    assert.equal(hosts.filter(({ prefix }) => key.startsWith(`${prefix}/`)).length, 1, key);
  }

  // One look shows all of them.
  const config = join(directory, 'list.env');
  const lines = Object.entries({ ...common, ...credentials }).map(([key, value]) => `${key}=${value}\n`);
  await writeFile(config, lines.join(''), { mode: 0o600 });
  const list = ['scripts/list.ts', '--config', config, '--host-prefix', fleet, '--json'];
  const result = await runProcess('scripts/tsx.sh', list);
  assert.equal(result.exitCode, 0, result.stderr);
  const listed: { prefix: string; backups: Record<string, unknown>[]; problem: unknown }[] = JSON.parse(
    result.stdout,
  ).hosts;
  const shown = listed.flatMap(({ prefix, backups }) =>
    backups.map(({ subvolume, kind, current, restorable }) => [prefix, subvolume, kind, current, restorable]),
  );
  const wanted = hosts.flatMap(({ prefix }) => [
    [prefix, 'data', 'full', false, 'now'],
    [prefix, 'data', 'incremental', true, 'now'],
    [prefix, 'home', 'full', true, 'now'],
    [prefix, 'root', 'full', true, 'now'],
  ]);
  assert.equal(shown.filter(([, , , current]) => current).length, 30);
  assert.deepEqual(shown, wanted);

  // Each gets its own back, to the bit, with nothing but the bucket.
  await pMap(
    hosts,
    async ({ context, root, subvolumes }) => {
      for (const { name, path } of subvolumes) {
        const target = join(root, `restored-${name}`);
        await restoreBackup(context, {
          subvolume: name,
          target,
          selection: {},
          verifyMode: 'none',
          readOnly: false,
          thaw: {},
          mayWait: false,
        });
        assert.deepEqual(await treeDigest(target), await treeDigest(path), target);
      }
    },
    { concurrency: hostsAtOnce },
  );
});
