/**
 * What an end-to-end test lives in: a Btrfs filesystem on a loop device, an S3 server, a settings file, and the scripts.
 * Everything is removed when the test ends, however it ends.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import type { Manifest } from '../../lib/core/format/manifest.ts';
import { createLoopFilesystem } from '../../testing/harness/loop-filesystem.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { repositoryRoot, testDirectory } from '../../testing/harness/test-directory.ts';
import { type S3Server, type S3ServerOptions, startS3Server } from '../../testing/s3-server/server.ts';
import { bareEnvironment, type Outcome } from '../support/run-program.ts';
import { runScript } from '../support/script-within.ts';

export const secret = 'end-to-end-secret';
const bucketName = 'backups';

/** Where the published backup of the world's subvolume is named. */
export const pointerKey = 'fleet/host-1/subvol/data/current.json';

/** What a script did. */
export type ScriptResult = Outcome;

/** The world of one test. */
export interface World {
  /** Mount point of the filesystem. */
  readonly mount: string;
  /** The subvolume `data`. */
  readonly data: string;
  readonly snapshots: string;
  /** A directory for files of the test, removed with the world. */
  readonly directory: string;
  /** Undoes something when the test ends, before what was made earlier is undone. */
  readonly cleanUp: (undo: () => Promise<unknown>) => void;
  readonly runDirectory: string;
  readonly server: S3Server;
  readonly client: S3Client;
  /** Settings by key, as they stand in the file. */
  readonly settings: Readonly<Record<string, string>>;
  /** Writes a settings file with changes; undefined removes a key. */
  settingsFile(changes?: Readonly<Record<string, string | undefined>>): Promise<string>;
  /** Runs a script with the world's settings: script-within.ts. */
  run(script: string, ...args: readonly string[]): Promise<ScriptResult>;
  /** Makes a backup, which must succeed. Gives the manifest and its key. */
  backup(...args: readonly string[]): Promise<{ readonly key: string; readonly manifest: Manifest }>;
}

/** How the world's server is started. */
export type ServerOptions = Pick<S3ServerOptions, 'thawDelayMs' | 'provider' | 'habits'>;

/** What calls back at its end: a test, or, with `after` of node:test, a file of tests. */
export interface Ending {
  after(undo: () => Promise<void>): void;
}

/** Makes a world; the filesystem holds a subvolume `data` and a directory `snapshots`. */
export async function createWorld(
  test: Ending,
  changes: Readonly<Record<string, string>> = {},
  sizeBytes = 2 * 2 ** 30,
  serverOptions: ServerOptions = {},
): Promise<World> {
  const cleanUp = cleanUpAfter(test);
  const filesystem = await createLoopFilesystem({ name: 'end-to-end', sizeBytes });
  cleanUp(() => filesystem.remove());
  const directory = await mkdtemp(join(testDirectory(), 'end-to-end-'));
  cleanUp(() => rm(directory, { recursive: true, force: true }));
  const server = await startS3Server({
    directory: join(directory, 's3'),
    accessKeyId: 'end-to-end',
    secretAccessKey: secret,
    buckets: [bucketName],
    ...serverOptions,
  });
  cleanUp(() => server.stop());
  const client = new S3Client({
    endpoint: server.endpoint,
    forcePathStyle: true,
    region: 'us-east-1',
    credentials: { accessKeyId: 'end-to-end', secretAccessKey: secret },
  });
  cleanUp(async () => client.destroy());

  const mount = filesystem.mountPoint;
  const data = join(mount, 'data');
  const snapshots = join(mount, 'snapshots');
  await shell`btrfs subvolume create ${data}`;
  await mkdir(snapshots);
  const settings: Record<string, string> = {
    SUBVOLUMES: data,
    SNAPSHOT_DIR: snapshots,
    S3_BUCKET: bucketName,
    S3_PREFIX: 'fleet/host-1',
    AWS_REGION: 'us-east-1',
    AWS_ENDPOINT_URL_S3: server.endpoint,
    AWS_ACCESS_KEY_ID: 'end-to-end',
    AWS_SECRET_ACCESS_KEY: secret,
    AWS_EC2_METADATA_DISABLED: 'true',
    CHUNK_SIZE: '8MiB',
    PART_SIZE: '5MiB',
    STORAGE_CLASS_CHUNKS: 'STANDARD',
    RUN_DIR: join(directory, 'run'),
    ...changes,
  };
  let files = 0;
  const world: World = {
    mount,
    data,
    snapshots,
    directory,
    cleanUp,
    runDirectory: join(directory, 'run'),
    server,
    client,
    settings,
    async settingsFile(edits = {}) {
      const path = join(directory, `settings-${files++}.env`);
      const lines = Object.entries({ ...settings, ...edits }).flatMap(([key, value]) =>
        value === undefined ? [] : [`${key}=${value}\n`],
      );
      await writeFile(path, lines.join(''), { mode: 0o600 });
      return path;
    },
    async run(script, ...args) {
      return runScript(script, ['--config', await standard, ...args]);
    },
    async backup(...args) {
      const { stdout } = await mustSucceed(world, 'backup.ts', '--json', ...args);
      const key: string = JSON.parse(stdout).subvolumes[0].manifest_key;
      return { key, manifest: JSON.parse(await readObject(world, key)) };
    },
  };
  const standard = world.settingsFile();
  return world;
}

/**
 * Collects what is to be undone after a test. The last is undone first, and one that fails does not keep the others from
 * being undone: node:test would skip them, and a server that still listens would keep the process alive.
 */
export function cleanUpAfter(test: Ending): (undo: () => Promise<unknown>) => void {
  const undos: (() => Promise<unknown>)[] = [];
  test.after(async () => {
    const failures: unknown[] = [];
    for (const undo of undos.reverse()) await undo().catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw new AggregateError(failures, 'cleaning up failed');
  });
  return (undo) => void undos.push(undo);
}

/** Runs a process in the repository, in a bare environment and some variables more. */
export function runProcess(
  command: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<ScriptResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: repositoryRoot,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...bareEnvironment(), ...environment },
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('error', reject);
    child.once('close', (exitCode) => {
      // What Node warns of, such as a leak or an old way of calling it, is a defect.
      const [warning] = /\(node:\d+\) .*Warning.*/.exec(stderr) ?? [];
      if (warning) reject(new Error(`${args.join(' ')}: ${warning}`));
      else resolve({ exitCode, stdout, stderr });
    });
  });
}

/** Runs a script that has nothing to fail for. */
export async function mustSucceed(
  world: World,
  script: string,
  ...args: readonly string[]
): Promise<ScriptResult> {
  const result = await world.run(script, ...args);
  assert.equal(result.exitCode, 0, `${script}: ${result.stderr}`);
  return result;
}

/** Reads an object whole. */
export async function readObject(world: World, key: string): Promise<string> {
  return (await readBytes(world, key)).toString('utf8');
}

/** Reads an object's bytes. */
export async function readBytes(world: World, key: string): Promise<Buffer> {
  const response = await world.client.send(new GetObjectCommand({ Bucket: bucketName, Key: key }));
  return Buffer.from((await response.Body?.transformToByteArray()) ?? []);
}

/** Writes an object over whatever is there, as another writer would. */
export async function writeObject(world: World, key: string, body: string | Buffer): Promise<void> {
  await world.client.send(new PutObjectCommand({ Bucket: bucketName, Key: key, Body: body }));
}

/** All keys in the bucket. */
export async function allKeys(world: World): Promise<readonly string[]> {
  const { Contents = [] } = await world.client.send(new ListObjectsV2Command({ Bucket: bucketName }));
  return Contents.flatMap((object) => object.Key ?? []);
}

/** Changes bytes of a stored object behind the server's back, as a failing disk would. */
export async function damageStoredBytes(world: World, content: Buffer, at: number): Promise<void> {
  const root = join(world.directory, 's3');
  for (const path of filesBelow(root)) {
    const stored = await readFile(path);
    if (!stored.equals(content)) continue;
    stored.writeUInt8(stored.readUInt8(at) ^ 1, at);
    await writeFile(path, stored);
    return;
  }
  throw new Error('no stored object has these bytes');
}

/** Names in a directory of the filesystem, hidden ones included. */
export async function namesIn(directory: string): Promise<readonly string[]> {
  return (await readdir(directory)).sort();
}

/** What is in RUN_DIR of backups: neither the lock nor the record of the last runs, which is kept whatever becomes of them. */
export async function runFilesOf({ runDirectory }: World): Promise<readonly string[]> {
  const names = await namesIn(runDirectory).catch(() => []);
  return names.filter((name) => !['lock', '@watch', '@drill'].includes(name));
}

/** The log lines of a result that are errors; the log is JSON because stderr is no terminal. */
export function errorLines(result: ScriptResult): readonly string[] {
  return result.stderr
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
    .filter((line) => line.level === 'error')
    .map((line) => String(line.msg));
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
