/** Each provider whose habits can be played: what the settings of AWS meet there is named with its cure, and cured all is well. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Habits } from '../../../../testing/s3-server/habits/habits.ts';
import { type ProviderName, providerNames } from '../../../../testing/s3-server/habits/providers.ts';
import { startS3Server } from '../../../../testing/s3-server/server.ts';
import { accessKeyId, bucketName, openTestBucket } from '../../../support/bucket.ts';
import { examineBucketWith, linesOf } from '../../../support/doctor.ts';
import { resolveLocalNames } from '../../../support/local-names.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

const directory = temporaryDirectory('doctor-providers');
resolveLocalNames();
type Settings = Readonly<Record<string, string>>;

/** What is said of a provider, and the settings, or the change of its own, by which that is mended. */
interface Case {
  readonly says?: RegExp;
  readonly cure?: Settings;
  readonly mended?: Habits;
  /** Of the server, when all is well. */
  readonly takes?: RegExp;
}

const plain = { SSE: 'none', STORAGE_CLASS_CHUNKS: 'STANDARD' };
const noConditions = /has no conditional writes.*\| set S3_PREFIX to a name that no other host has$/m;
const own = { S3_PREFIX: 'host-1' };

const cases: Readonly<Record<ProviderName, Case>> = {
  b2: {
    says: /^broken server: .*does not have this storage class: Backblaze only .*\| choose another with STORAGE_CLASS_CHUNKS/m,
    cure: { STORAGE_CLASS_CHUNKS: 'STANDARD', ...own },
    takes: /Content-MD5.*\nfine server: the server has no conditional writes/,
  },
  r2: {
    says: /^broken server: .*refuses server-side encryption.*\| set SSE=none$/m,
    cure: plain,
    takes: /Content-MD5/,
  },
  minio: { says: /^broken server: .*KMS is not configured.*\| set SSE=none$/m, cure: plain },
  oss: {
    says: /^broken bucket: .*\| set S3_ADDRESSING=virtual$/m,
    cure: { S3_ADDRESSING: 'virtual', ...own },
    takes: /no conditional writes/,
  },
  cos: {
    says: /^broken bucket: .*\| set S3_ADDRESSING=virtual$/m,
    cure: { S3_ADDRESSING: 'virtual', ...own },
    takes: /no conditional writes/,
  },
  garage: { says: noConditions, cure: own },
  ceph: {},
  riak: { says: noConditions, cure: own },
  seaweedfs: {},
  ecs: {},
  late: {},
  nginx: {
    says: /^broken server: cannot send parts of 32\.0 MiB: .*\(413\).*\| lower PART_SIZE .*client_max_body_size/m,
    mended: { bodyLimitBytes: 128 * 2 ** 20 },
  },
  expiring: {},
};

for (const provider of providerNames) {
  test(`${provider}: what does not work there is named with its cure, and cured it does`, async (t) => {
    const start = async (habits?: Habits) => {
      const server = await startS3Server({
        directory: join(directory, provider),
        accessKeyId,
        secretAccessKey: 'not-a-secret',
        buckets: [bucketName],
        provider,
        ...(habits && { habits }),
      });
      t.after(() => server.stop());
      return server;
    };
    let server = await start();
    const examine = async (changes: Settings = {}) => {
      const settings = { S3_BUCKET: bucketName, S3_ALLOW_HTTP: 'true', RUN_DIR: directory, ...changes };
      const open = () => openTestBucket(`http://s3.localhost:${server.port}`, settings);
      const found = await examineBucketWith(open, settings);
      return linesOf(found, 'bucket', 'server', 'permissions', 'the rest').filter(
        // Later servers show it late, and one that refuses SSE has none yet.
        (line) => !line.includes('s3:GetObject was not tried'),
      );
    };
    const { says, cure, mended, takes } = cases[provider];
    const before = await examine();
    if (says) assert.match(before.join('\n'), says);
    if (mended) server = await start(mended);
    const after = await examine(cure);
    assert.deepEqual(
      after.filter((line) => !line.startsWith('fine')),
      [],
    );
    assert.match(after.join('\n'), /^fine server: takes /m);
    if (takes) assert.match(after.join('\n'), takes);
  });
}
