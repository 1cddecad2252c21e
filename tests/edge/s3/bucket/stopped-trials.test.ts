/** What is begun in the bucket to try something is ended, also where the run is stopped in the middle of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measureUpload } from '../../../../lib/edge/s3/bucket/rate-probe.ts';
import { tryUpload } from '../../../../lib/edge/s3/bucket/trials.ts';
import { listUploads } from '../../../../lib/edge/s3/multipart-uploads.ts';
import type { Bucket } from '../../../../lib/edge/s3/s3-client.ts';
import { probeServer } from '../../../../lib/edge/s3/server/probe.ts';
import { plainWrite, startTestBucket } from '../../../support/bucket.ts';
import type { Fault } from '../../../support/faulty-proxy.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

const { bucket, server, proxy } = await startTestBucket(temporaryDirectory('stopped-trials'));
const key = 'host/subvol/data/full/chunk-19700101T000000Z-00001.bin';
const stopped = new Error('stopped by SIGINT');

/** Stops a piece of work when a fault says so. */
async function stop(work: (within: Bucket) => Promise<unknown>, fault: (stop: () => void) => Fault) {
  const ending = new AbortController();
  proxy.expect(fault(() => ending.abort(stopped)));
  const since = server.requests.length;
  await work({ ...bucket, signal: ending.signal }).catch((error: unknown) => assert.equal(error, stopped));
  assert.ok(ending.signal.aborted);
  proxy.expect();
  assert.ok(server.requests.slice(since).some(({ operation }) => operation === 'CreateMultipartUpload'));
  assert.deepEqual(await listUploads(bucket, 'host/'), []);
}

/** The second part never gets an answer. */
const atPart = (stop: () => void): Fault => ({
  matches: ({ url }) => /partNumber=2/.test(url),
  before: () => {
    stop();
    return new Promise<never>(() => {});
  },
});

test('the measured rate leaves no parts, whether it ends or is stopped', async () => {
  const probe = { forMs: 10_000, mostBytes: 20 * 2 ** 20, concurrency: 2 };
  const measure = (within: Bucket) => measureUpload(within, key, plainWrite, probe);
  assert.ok((await measure(bucket)) > 0);
  assert.deepEqual(await listUploads(bucket, 'host/'), []);
  await stop(measure, atPart);
});

test('nor does the trial of permissions', async () => {
  await stop(
    (within) => tryUpload(within, key, plainWrite),
    (end) => ({ ...atPart(end), matches: ({ url }) => /partNumber=1/.test(url) }),
  );
});

test('nor does the probe of a server', async () => {
  const probe = {
    text: { key: 'host/RESTORE.txt', content: 'text', options: plainWrite },
    chunk: { key, options: plainWrite },
    partSizeBytes: 5 * 2 ** 20,
  };
  await stop(
    (within) => probeServer(within, probe),
    (end) => ({
      matches: ({ method }) => method === 'DELETE',
      times: 1,
      before: () => {
        end();
        return 'break';
      },
    }),
  );
});
