/** What all histories of a test share: the S3 server, a bare filesystem for restores, another host's, and the hands. */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DeleteObjectsCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import type { Bucket } from '../../../lib/edge/s3/s3-client.ts';
import { TransferMemory } from '../../../lib/transfer/memory/transfer-memory.ts';
import { createLoopFilesystem } from '../../../testing/harness/loop-filesystem.ts';
import { testDirectory } from '../../../testing/harness/test-directory.ts';
import { type S3Server, startS3Server } from '../../../testing/s3-server/server.ts';
import { Hands } from './hands.ts';

/** Who may write to the server. */
export const account = { accessKeyId: 'history', secretAccessKey: 'history-secret' };
/** Where all histories write, each below a prefix of its own. */
export const bucketName = 'histories';

const sizeBytes = 4 * 2 ** 30;

/** What is shared. */
export interface Ground {
  readonly hands: Hands;
  readonly server: S3Server;
  readonly memory: TransferMemory;
  /** A directory for run files. */
  readonly directory: string;
  /** Mount point of the filesystem that is restored to. */
  readonly restores: string;
  /** Mount point of another host's filesystem, from which subvolumes come. */
  readonly elsewhere: string;
}

/** Prepares the ground; `cleanUp` takes what is to be undone, last thing first. */
export async function prepareGround(cleanUp: (undo: () => Promise<unknown>) => void): Promise<Ground> {
  const hands = new Hands();
  cleanUp(async () => hands.close());
  const directory = await mkdtemp(join(testDirectory(), 'history-'));
  cleanUp(() => rm(directory, { recursive: true, force: true }));
  const [restores, elsewhere] = [
    await createLoopFilesystem({ name: 'history-restores', sizeBytes }),
    await createLoopFilesystem({ name: 'history-elsewhere', sizeBytes }),
  ];
  cleanUp(() => restores.remove());
  cleanUp(() => elsewhere.remove());
  const server = await startS3Server({
    directory: join(directory, 's3'),
    ...account,
    buckets: [bucketName],
  });
  cleanUp(() => server.stop());
  const memory = new TransferMemory(3);
  cleanUp(() => memory.close());
  return {
    hands,
    server,
    memory,
    directory,
    restores: restores.mountPoint,
    elsewhere: elsewhere.mountPoint,
  };
}

/** Deletes every object of a bucket's prefix, so that a long run does not fill the disk. */
export async function emptyPrefix({ client, name, prefix }: Bucket): Promise<void> {
  for (;;) {
    const listed = await client.send(new ListObjectsV2Command({ Bucket: name, Prefix: `${prefix}/` }));
    const keys = (listed.Contents ?? []).map(({ Key }) => ({ Key }));
    if (keys.length === 0) return;
    await client.send(new DeleteObjectsCommand({ Bucket: name, Delete: { Objects: keys, Quiet: true } }));
  }
}
