/** Servers whose ETags differ from answer to answer, or that show objects late: a backup is published, and nothing is sent twice. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { MIB } from '../../lib/core/units.ts';
import { RunDirectory } from '../../lib/edge/files/run-directory.ts';
import { Retrier } from '../../lib/edge/s3/requests/retry.ts';
import { publishBackup } from '../../lib/stage/backup/publish/publish.ts';
import { uploadSnapshot } from '../../lib/stage/backup/upload/upload.ts';
import { listBackups } from '../../lib/stage/bucket/list.ts';
import { planPrunes } from '../../lib/stage/bucket/prune.ts';
import type { StageContext } from '../../lib/stage/context.ts';
import { refusal, smallWorld } from './small-world.ts';
import { hostIn } from './within-process.ts';
import type { ServerOptions, World } from './world.ts';

const settings = { SSE: 'none' };

/** A world whose subvolume makes a chunk of two parts, and another one. */
async function worldOn(t: TestContext, server: ServerOptions): Promise<World> {
  const world = await smallWorld(t, server);
  await writeFile(join(world.data, 'large'), randomBytes(9 * MIB));
  return world;
}

/** How many requests brought bytes of chunks since a number of requests. */
const sentSince = ({ server }: World, since = 0) =>
  server.requests
    .slice(since)
    .filter(({ key, bytesReceived }) => key?.endsWith('.bin') && bytesReceived > 1000).length;

for (const provider of ['seaweedfs', 'riak', 'ceph'] as const) {
  test(`${provider}: HEAD and CompleteMultipartUpload give different ETags, and all is sent once`, async (t) => {
    const world = await worldOn(t, { provider });
    const host = await hostIn(world, { settings });
    await host.plan();
    await host.upload();
    const sent = sentSince(world);
    assert.equal(sent, 3);
    // As after a run that was killed before it wrote chunks.json.
    await new RunDirectory(world.runDirectory, 'data').forgetChunks();
    await host.upload();
    assert.equal(sentSince(world), sent);
    await publishBackup(host.context, { name: 'data', path: world.data });
    assert.deepEqual((await host.verify()).findings, []);
    // Listings may have other ETags still.
    const [listed] = await listBackups(host.context, 'data');
    assert.ok(listed && 'thaw' in listed.restorability);
    assert.equal(listed.restorability.doubt, undefined);
    const [pruned] = (await planPrunes(host.context, 'data')).plans;
    assert.deepEqual([pruned?.broken, pruned?.generations.length], [[], 1]);
    assert.deepEqual(host.warnings, []);
  });
}

test('objects that are seen two seconds late are waited for', async (t) => {
  const world = await worldOn(t, { provider: 'late', habits: { seenAfterMs: 2000 } });
  const notices: string[] = [];
  const host = await hostIn(world, { settings, onNotice: (_, notice) => notices.push(notice) });
  const { manifest } = await host.backUp();
  assert.equal(sentSince(world), 3);
  assert.ok(manifest.chunks.every(({ etag }) => etag));
  assert.equal(notices.filter((notice) => notice.includes('only some seconds after')).length, 1);
});

/** The same context, whose looks for objects do not wait; the waits are added up. */
function withoutWaiting(context: StageContext): {
  readonly context: StageContext;
  readonly waited: { ms: number };
} {
  const waited = { ms: 0 };
  const retrier = new Retrier({
    retryForMs: 0,
    concurrency: 1,
    onRetry: () => undefined,
    onSlowDown: () => undefined,
    sleep: async (ms) => {
      waited.ms += ms;
    },
  });
  return { context: { ...context, bucket: { ...context.bucket, retrier } }, waited };
}

test('objects that are not seen for a minute: what is sent again is said to be so because of the server', async (t) => {
  const world = await worldOn(t, { provider: 'late', habits: { seenAfterMs: 600_000 } });
  const host = await hostIn(world, { settings });
  const subvolume = { name: 'data', path: world.data };
  await host.plan();
  await host.upload();
  const first = withoutWaiting(host.context);
  const { message, hint } = await refusal(publishBackup(first.context, subvolume));
  assert.match(
    message,
    /^nothing was published: chunk .*-00000\.bin is missing, a minute after it was stored \(http:\/\/127/,
  );
  assert.match(hint ?? '', /the server loses or changes what it has stored/);
  assert.equal(first.waited.ms, 60_000);
  const since = world.server.requests.length;
  const second = withoutWaiting(host.context);
  await uploadSnapshot(second.context, subvolume);
  assert.equal(sentSince(world, since), 3);
  const { endpoint } = world.server;
  assert.equal(host.warnings.length, 2);
  for (const warning of host.warnings)
    assert.match(
      warning,
      new RegExp(`no longer in the bucket as it was stored \\(${endpoint}\\): it is sent again`),
    );
});
