/** What recover.sh is tried on: a chain of backups of snapper's snapshots, and an empty filesystem to restore to. */
import { randomUUID } from 'node:crypto';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { recoverScriptKey } from '../../lib/core/format/names.ts';
import { deleteObjects } from '../../lib/edge/s3/delete-objects.ts';
import { readDocument } from '../../lib/edge/s3/documents.ts';
import { listKeys } from '../../lib/edge/s3/objects.ts';
import { createLoopFilesystem } from '../../testing/harness/loop-filesystem.ts';
import { readServerVariables } from '../../testing/harness/servers/server-variables.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { change, snapper } from '../end-to-end/their-snapshots.ts';
import { hostIn } from '../end-to-end/within-process.ts';
import { createWorld, type Ending, secret, type World } from '../end-to-end/world.ts';
import type { StandIn } from './aws-standin.ts';
import { copiedBucket } from './copied-bucket.ts';
import { type BareHost, bareHost } from './recover-sh.ts';

const mib = 2 ** 20;

/** The chain and what it has to become. */
export interface RecoverScene {
  readonly world: World;
  /** Of the manifests, oldest first. */
  readonly keys: readonly string[];
  /** What the bucket has as recover.sh. */
  readonly script: string;
  /** An empty directory on another Btrfs filesystem. */
  readonly place: string;
  /** What the snapshots hold, by the number of the backup. */
  readonly trees: readonly unknown[];
  /** Takes one more snapshot and backs it up; gives the key of its manifest. */
  backUp(): Promise<string>;
  /** A host that reaches the embedded server with the real aws command. */
  realHost(): Promise<BareHost>;
  /** A host with a copy of the bucket, and a stand-in for aws; `change` is made to its script. */
  copy(change?: (script: string) => string): Promise<{ readonly bucket: StandIn; readonly host: BareHost }>;
}

/**
 * Makes it: a full and two incremental backups, of 5 MiB chunks, all of a snapshot called `snapshot`. With S3_SERVER=env the bucket is that
 * of the server that the environment names, and `copy` cannot be used.
 */
export async function makeRecoverScene(
  test: Ending,
  settings: Readonly<Record<string, string>> = {},
  content: (number: number) => string | Buffer = textOf,
): Promise<RecoverScene> {
  const world = await createWorld(test, { CHUNK_SIZE: '5MiB', ...settings }, 512 * mib);
  const { at, take } = await snapper(world);
  const server = process.env.S3_SERVER === 'env' ? readServerVariables(process.env) : undefined;
  const elsewhere = server && {
    AWS_ENDPOINT_URL_S3: server.endpoint,
    AWS_REGION: server.region,
    S3_BUCKET: server.bucket,
    S3_PREFIX: `${server.prefix}recover-${randomUUID()}`,
  };
  const account = {
    AWS_ACCESS_KEY_ID: server?.accessKeyId ?? 'end-to-end',
    AWS_SECRET_ACCESS_KEY: server?.secretAccessKey ?? secret,
  };
  const host = await hostIn(world, {
    name: 'home',
    snapshots: join(world.mount, '.snapshots/*/snapshot'),
    settings: { ...world.settings, ...settings, ...elsewhere },
    credentials: account,
  });
  const { bucket } = host.context;
  if (server) {
    world.cleanUp(async () => deleteObjects(bucket, await listKeys(bucket, `${bucket.prefix}/`)));
  }
  const keys: string[] = [];
  const trees: unknown[] = [];
  for (const number of [1, 2, 3]) {
    await change(world, `file-${number}`, content(number));
    if (number === 3) await rename(join(world.data, 'file-2'), join(world.data, 'renamed'));
    await take(number);
    keys.push((await host.backUp()).key);
    trees.push(await treeDigest(at(number)));
  }
  const other = await createLoopFilesystem({ name: 'recovered', sizeBytes: 512 * mib });
  world.cleanUp(() => other.remove());
  const script = (await readDocument(bucket, recoverScriptKey(bucket.prefix), mib))?.text ?? '';
  let copies = 0;
  let taken = keys.length;
  return {
    world,
    keys,
    script,
    place: other.mountPoint,
    trees,
    async backUp() {
      await take(++taken);
      return (await host.backUp()).key;
    },
    async realHost() {
      return bareHost(join(world.directory, `real-${copies++}`), script, account);
    },
    async copy(change) {
      return copiedBucket(
        world,
        join(world.directory, `copy-${copies++}`),
        recoverScriptKey(bucket.prefix),
        change,
      );
    },
  };
}

/** More than two chunks, then little. */
function textOf(number: number): string {
  return Array.from(
    { length: number === 1 ? 300_000 : 1000 },
    (_, line) => `${number * line}, content of a line that is long\n`,
  ).join('');
}
