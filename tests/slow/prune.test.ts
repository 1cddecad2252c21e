/** Three generations on a real filesystem, pruned while an upload waits to resume: all that is kept is restored. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { type S3Server, startS3Server } from '../../testing/s3-server/server.ts';
import {
  allKeys,
  createWorld,
  mustSucceed,
  readObject,
  runProcess,
  secret,
  type World,
  writeObject,
} from '../end-to-end/world.ts';

const mib = 2 ** 20;
const root = 'fleet/host-1/subvol/data';

/** Makes everything in the bucket 30 days older by the server's own records, and starts it anew at the same place. */
async function restartOlder(world: World): Promise<S3Server> {
  await world.server.stop();
  const directory = join(world.directory, 's3');
  const older = (text: string) => new Date(Date.parse(text) - 30 * 86_400_000).toISOString();
  for (const entry of await readdir(join(directory, 'buckets'), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const text = await readFile(path, 'utf8');
    await writeFile(
      path,
      text.replace(
        /("(?:lastModified|initiatedAt)":\s*")([^"]+)"/g,
        (_, name: string, time: string) => `${name}${older(time)}"`,
      ),
    );
  }
  const account = { accessKeyId: 'end-to-end', secretAccessKey: secret };
  const server = await startS3Server({ directory, port: world.server.port, ...account });
  world.cleanUp(() => server.stop());
  return server;
}

test('after a prune every kept point is restored, and the upload that waited resumes', async (t) => {
  const world = await createWorld(t, {
    CHUNK_SIZE: '10MiB',
    PART_SIZE: '5MiB',
    CONCURRENCY: '1',
    RETRY_FOR: '5s',
  });
  const points: { readonly key: string; readonly digest: readonly string[] }[] = [];
  for (const kind of ['full', 'incremental', 'full', 'incremental', 'full', 'incremental']) {
    await writeFile(join(world.data, `file-${points.length}`), randomBytes(mib));
    const { key, manifest } = await world.backup('--kind', kind);
    points.push({ key, digest: await treeDigest(join(world.snapshots, manifest.snapshot.name)) });
  }
  await writeFile(join(world.data, 'large'), randomBytes(25 * mib));
  await mustSucceed(world, 'snapshot.ts');
  world.server.faults.set([{ fault: 'error', code: 'InternalError', operation: 'UploadPart', skip: 3 }]);
  assert.equal((await world.run('send-chunk-upload.ts')).exitCode, 1);
  const [oldOrphan, youngOrphan] = [20, 21].map((day) => `${root}/full/chunk-202501${day}T020000Z-00000.bin`);
  assert.ok(oldOrphan && youngOrphan, 'two orphans');
  await writeObject(world, oldOrphan, 'orphan');
  const server = await restartOlder(world);
  await writeObject(world, youngOrphan, 'orphan');
  const before = await allKeys(world);

  await mustSucceed(world, 'prune.ts');
  const written = server.requests.filter(({ method }) => method !== 'GET' && method !== 'HEAD');
  assert.deepEqual(
    written.map(({ key }) => key),
    [youngOrphan],
    'a plan writes nothing',
  );

  const config = await world.settingsFile();
  const made = await runProcess('make', ['prune', `CONFIG=${config}`, 'APPLY=1', 'SUBVOLUME=data']);
  assert.equal(made.exitCode, 0, made.stderr);
  const stampOf = (key: string) => /\d{8}T\d{6}Z/.exec(key)?.[0] ?? '';
  const pruned = points.slice(0, 2).map(({ key }) => stampOf(key));
  assert.deepEqual(
    await allKeys(world),
    before.filter((key) => key !== oldOrphan && !pruned.includes(stampOf(key))),
  );
  const { Uploads = [] } = await world.client.send(new ListMultipartUploadsCommand({ Bucket: 'backups' }));
  assert.equal(Uploads.length, 1, 'the upload that waits is still there');

  const requests = server.requests.length;
  await mustSucceed(world, 'send-chunk-upload.ts');
  const { stdout } = await mustSucceed(world, 'manifest.ts', '--json');
  const published = JSON.parse(await readObject(world, JSON.parse(stdout).subvolumes[0].manifest_key));
  const parts = published.chunks.flatMap((chunk: { readonly parts: readonly string[] }) => chunk.parts);
  const sent = server.requests
    .slice(requests)
    .filter(({ key, method }) => method === 'PUT' && key?.endsWith('.bin'));
  assert.equal(sent.length, parts.length - 3, 'three parts were there');
  await mustSucceed(world, 'verify.ts', '--deep');
  // The newest of each generation, which cannot be restored without the rest of it.
  for (const { key, digest } of points.filter((_, index) => index === 3 || index === 5)) {
    const target = join(world.mount, `restored-${stampOf(key)}`);
    await mustSucceed(world, 'restore.ts', '--subvolume', 'data', '--target', target, '--manifest', key);
    assert.deepEqual(await treeDigest(target), digest, key);
  }
});
