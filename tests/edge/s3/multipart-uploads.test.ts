import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { abortUpload, listUploads } from '../../../lib/edge/s3/multipart-uploads.ts';
import { ChunkWriter } from '../../../lib/transfer/out/chunk-writer.ts';
import { openTestBucket, plainWrite, startTestBucket } from '../../support/bucket.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('multipart-uploads');
const { bucket, proxy } = await startTestBucket(join(directory, 's3'), {}, { listPageSize: 2 });

test('the unfinished uploads below a key’s beginning are listed over all pages, and no others', async () => {
  const events = { onSent: () => undefined };
  const writer = new ChunkWriter(bucket, plainWrite, events);
  const mine = [];
  for (const key of ['host/a-0', 'host/a-0', 'host/a-1', 'host/a-2', 'host/a-3']) {
    mine.push(await writer.begin(key));
  }
  await writer.begin('host/b-0');
  const found = await listUploads(bucket, 'host/a-');
  const sorted = (uploads: readonly { readonly uploadId: string }[]) =>
    uploads.map(({ uploadId }) => uploadId).sort();
  assert.deepEqual(sorted(found), sorted(mine));
  for (const upload of found.slice(1)) await abortUpload(bucket, upload);
  assert.deepEqual(await listUploads(bucket, 'host/a-'), found.slice(0, 1));
});

test('what cannot be listed is named', async () => {
  const missing = await openTestBucket(proxy.endpoint, { S3_BUCKET: 'no-such-bucket' });
  await assert.rejects(
    listUploads(missing, 'host/'),
    /cannot list the unfinished uploads of host\/: the bucket does not exist/,
  );
  missing.close();
});
