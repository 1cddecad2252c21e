/** How a bucket is set up: rules of its lifecycle, versions and Object Lock, as the server tells them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type LifecycleRule,
  PutBucketLifecycleConfigurationCommand,
  PutBucketVersioningCommand,
  PutObjectLockConfigurationCommand,
} from '@aws-sdk/client-s3';
import { RunDirectory } from '../../../../lib/edge/files/run-directory.ts';
import { openTestBucket, startTestBucket } from '../../../support/bucket.ts';
import { examineWith, linesOf } from '../../../support/doctor.ts';
import { publish } from '../../../support/fake-backups.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

const directory = temporaryDirectory('doctor-properties');
const { bucket, server } = await startTestBucket(directory);

async function examine(...checks: readonly string[]) {
  const sizes = { CHUNK_SIZE: '5MiB', PART_SIZE: '5MiB' };
  const settings = { S3_BUCKET: bucket.name, RUN_DIR: directory, ...sizes };
  const found = await examineWith(() => openTestBucket(server.endpoint), settings, { role: 'verify' });
  return linesOf(found, ...checks).join('\n');
}

async function setRules(...Rules: readonly LifecycleRule[]) {
  const LifecycleConfiguration = { Rules: [...Rules] };
  await bucket.client.send(
    new PutBucketLifecycleConfigurationCommand({ Bucket: bucket.name, LifecycleConfiguration }),
  );
}

const ends = (DaysAfterInitiation: number): LifecycleRule => ({
  ID: 'ends',
  Status: 'Enabled',
  Filter: { Prefix: '' },
  AbortIncompleteMultipartUpload: { DaysAfterInitiation },
});

test('a lifecycle rule that is too short for a chunk at the rate of the last backup is named, and a longer one passes', async () => {
  const { key } = await publish(bucket, { day: 1 });
  // 5 MiB take two days.
  const published = { manifest_key: key, published_at: '2026-01-01T02:00:00Z', upload_rate: 30 };
  await new RunDirectory(directory, 'data').finish(published);
  assert.match(
    await examine('lifecycle'),
    /^doubtful lifecycle: no rule ends incomplete uploads.*\| add \{"ID"/,
  );
  await setRules(ends(1));
  assert.match(
    await examine('lifecycle'),
    /^broken lifecycle: rule "ends" ends uploads after a day, but a chunk of 5\.00 MiB takes 2d 00h at the last rate, 30 B\/s.*\| set its DaysAfterInitiation to 7 or more$/,
  );
  await setRules(ends(7));
  assert.match(await examine('lifecycle'), /^fine lifecycle/);
  await setRules(ends(7), { ID: 'old', Status: 'Enabled', Prefix: 'host/subvol/', Expiration: { Days: 30 } });
  assert.match(await examine('lifecycle'), /^broken lifecycle: rule "old" deletes objects below host\//);
  await setRules(ends(7), { ID: 'old', Status: 'Disabled', Prefix: '', Expiration: { Days: 30 } });
  assert.match(await examine('lifecycle'), /^fine lifecycle/);
});

test('versions and Object Lock are named, and what ends versions', async () => {
  assert.match(await examine('versions'), /^fine versions: the bucket keeps no versions/);
  const place = { Bucket: bucket.name };
  const VersioningConfiguration = { Status: 'Enabled' } as const;
  await bucket.client.send(new PutBucketVersioningCommand({ ...place, VersioningConfiguration }));
  const DefaultRetention = { Mode: 'GOVERNANCE', Days: 30 } as const;
  await bucket.client.send(
    new PutObjectLockConfigurationCommand({
      ...place,
      ObjectLockConfiguration: { ObjectLockEnabled: 'Enabled', Rule: { DefaultRetention } },
    }),
  );
  const lines = await examine('versions', 'lifecycle');
  assert.match(lines, /Object Lock keeps new objects \(GOVERNANCE, 30 days\)/);
  assert.match(lines, /^doubtful lifecycle: the bucket keeps what prune deletes as versions/m);
  await setRules({ ...ends(7), NoncurrentVersionExpiration: { NoncurrentDays: 30 } });
  assert.match(await examine('lifecycle'), /^fine lifecycle/);
});
