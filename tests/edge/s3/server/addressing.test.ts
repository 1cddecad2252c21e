/** Where requests name the bucket: in the path, or in the host name, which some providers want. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ToolError } from '../../../../lib/core/errors.ts';
import { checkAccess } from '../../../../lib/edge/s3/objects.ts';
import { openBucket } from '../../../../lib/edge/s3/s3-client.ts';
import { startS3Server } from '../../../../testing/s3-server/server.ts';
import { accessKeyId, bucketName, openTestBucket } from '../../../support/bucket.ts';
import { resolveLocalNames } from '../../../support/local-names.ts';
import { settingsOf } from '../../../support/settings.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

const directory = temporaryDirectory('addressing');
resolveLocalNames();

for (const provider of ['oss', 'cos'] as const) {
  test(`${provider} wants the bucket in the host: reported with the setting, and done with it`, async () => {
    const account = { accessKeyId, secretAccessKey: 'not-a-secret', buckets: [bucketName] };
    const server = await startS3Server({ directory: join(directory, provider), ...account, provider });
    const endpoint = `http://s3.localhost:${server.port}`;
    try {
      const settings = { S3_ALLOW_HTTP: 'true' };
      const path = await openTestBucket(endpoint, settings);
      const error = await checkAccess(path).catch((reason: unknown) => reason as ToolError);
      assert.match(error?.message ?? '', /the server wants the bucket in the host name: .*virtual/);
      assert.equal(error?.hint, 'set S3_ADDRESSING=virtual');
      path.close();
      const virtual = await openTestBucket(endpoint, { ...settings, S3_ADDRESSING: 'virtual' });
      await checkAccess(virtual);
      virtual.close();
    } finally {
      await server.stop();
    }
  });
}

test('AWS is addressed by host name unless S3_ADDRESSING=path', async () => {
  for (const [S3_ADDRESSING, expected] of [
    ['auto', false],
    ['path', true],
    ['virtual', false],
  ] as const) {
    const events = { onRetry: () => undefined, onSlowDown: () => undefined };
    const settings = settingsOf({ S3_BUCKET: 'backups', AWS_REGION: 'eu-central-1', S3_ADDRESSING });
    const bucket = await openBucket(settings, 'host', { signal: new AbortController().signal, ...events });
    assert.equal(bucket.client.config.forcePathStyle, expected, S3_ADDRESSING);
    bucket.close();
  }
});
