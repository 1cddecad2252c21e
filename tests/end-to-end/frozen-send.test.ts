/** `btrfs send` that is stopped and goes on, as when a machine is suspended or a container is paused: it begins its stream again, and exits 0. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { withFakeBtrfs } from '../support/fake-btrfs.ts';
import { sendOfUpload, suspend, until } from './running-script.ts';
import { refusal } from './small-world.ts';
import { hostIn } from './within-process.ts';
import { createWorld, namesIn, type World } from './world.ts';

const mib = 2 ** 20;

/** Stops the `btrfs send` of an upload that waits for the server, as soon as it waits for room in its pipe, and lets it go on. */
async function freeze(world: World): Promise<void> {
  await until('a part is under way', () => (world.server.faults.list()[0]?.fired ?? 0) > 0);
  const send = (await sendOfUpload(world.mount)) ?? assert.fail('btrfs send runs');
  await until('it waits', async () => /pipe_write/.test(await readFile(`/proc/${send}/wchan`, 'utf8')));
  await suspend(send);
  world.server.faults.clear();
  process.kill(send, 'SIGCONT');
}

const storedParts = ({ server }: World) =>
  server.requests.filter(({ operation, status }) => operation === 'UploadPart' && status === 200);

for (const [what, settings] of [
  ['as it is', {}],
  ['through a codec', { COMPRESS: 'zstd' }],
] as const) {
  test(`a backup goes on by itself, and sends nothing twice that is stored: a stream ${what}`, async (t) => {
    const world = await createWorld(t, { CONCURRENCY: '1', CHUNK_SIZE: '10MiB', ...settings });
    await writeFile(join(world.data, 'file'), randomBytes(40 * mib));
    const host = await hostIn(world);
    await host.plan();
    // Each of the five parts that are left would take seconds, so the stream does not end before it is looked at.
    world.server.faults.set([{ fault: 'slow', bytesPerSecond: 2 * mib, operation: 'UploadPart', skip: 3 }]);
    for (const outcome of await Promise.allSettled([host.upload(), freeze(world)])) {
      if (outcome.status === 'rejected') throw outcome.reason;
    }
    assert.deepEqual(host.warnings, [
      `btrfs send of ${join(world.snapshots, (await namesIn(world.snapshots))[0] ?? '')} was stopped, as when the machine is suspended, and began its stream again; sending on from what is uploaded`,
    ]);
    const sent = storedParts(world).map(({ key, partNumber }) => `${key} ${partNumber}`);
    assert.equal(new Set(sent).size, sent.length, 'no part is stored twice');
    const transferred = host.progress.bytes;
    const { manifest } = await host.publish();
    assert.equal(transferred, manifest.stream?.bytes, 'what passes twice counts once');
    const { Uploads = [] } = await world.client.send(new ListMultipartUploadsCommand({ Bucket: 'backups' }));
    assert.deepEqual(Uploads, [], 'no upload is left unfinished');
    const target = join(world.mount, 'restored');
    await host.restore(target);
    const [snapshot = ''] = await namesIn(world.snapshots);
    assert.deepEqual(await treeDigest(target), await treeDigest(join(world.snapshots, snapshot)));
  });
}

test('a backup ends where btrfs send is stopped each time before it brings anything new', async (t) => {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'file'), randomBytes(mib));
  const host = await hostIn(world);
  await host.plan();
  const restarted = `
    PATH=\${PATH#*:}
    [[ $1 == send ]] || exec btrfs "$@"
    cd '${world.directory}'; btrfs "$@" > stream-$$; head --bytes=1000 stream-$$; exec cat stream-$$`;
  const uploaded = () => refusal(host.upload());
  const { message, kind } = await withFakeBtrfs(world.directory, restarted, uploaded);
  assert.match(
    message,
    /^btrfs send of \S+\/data__\S+ began its stream again 5 times before it came to what is not uploaded yet/,
  );
  assert.equal(kind, 'failed');
  assert.equal(host.warnings.length, 4);
});
