/** The advice of `make list` on incomplete uploads: given once where no rule ends them, and never in the way. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DeleteBucketLifecycleCommand,
  type LifecycleRule,
  PutBucketLifecycleConfigurationCommand,
} from '@aws-sdk/client-s3';
import { adviseOnUploads } from '../../../lib/stage/bucket/lifecycle-advice.ts';
import { startTestBucket } from '../../support/bucket.ts';
import { errorAnswer } from '../../support/faulty-proxy.ts';
import { stageContext } from '../../support/stage-context.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const { bucket, server, proxy } = await startTestBucket(temporaryDirectory('lifecycle'), {
  S3_PREFIX: 'fleet/a',
});
const { context } = stageContext(bucket);

async function advice(prefix?: string): Promise<readonly string[]> {
  const lines: string[] = [];
  const log = { ...context.log, info: (line: string) => lines.push(line), warn: assert.fail };
  await adviseOnUploads({ ...context, log }, prefix);
  return lines;
}

async function setRules(...rules: readonly LifecycleRule[]): Promise<void> {
  const place = { Bucket: bucket.name };
  const LifecycleConfiguration = { Rules: [...rules] };
  await (rules.length === 0
    ? bucket.client.send(new DeleteBucketLifecycleCommand(place))
    : bucket.client.send(new PutBucketLifecycleConfigurationCommand({ ...place, LifecycleConfiguration })));
}

const rule = (Prefix: string, changes: Partial<LifecycleRule> = {}): LifecycleRule => ({
  ID: Prefix,
  Status: 'Enabled',
  Filter: { Prefix },
  AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 },
  ...changes,
});

test('the suggested rule is the one that ends the advice', async () => {
  await setRules();
  const [line = '', ...more] = await advice();
  assert.deepEqual(more, []);
  const [told = ''] = /\{.*\}/.exec(line) ?? [];
  await setRules(JSON.parse(told) as LifecycleRule);
  assert.deepEqual(await advice(), []);
  const [fleet = ''] = await advice('fleet');
  assert.match(fleet, /"Prefix":"fleet\/"/);
  const [all = ''] = await advice('');
  assert.match(all, /"Prefix":""/);
});

test('a rule counts when it is enabled, ends uploads, and is for all keys of the prefix', async () => {
  const { AbortIncompleteMultipartUpload: _, ...expires } = rule('', { Expiration: { Days: 9 } });
  for (const useless of [
    rule('fleet/a/subvol/'),
    rule('fleet/b/'),
    rule('', { Status: 'Disabled' }),
    expires,
  ]) {
    await setRules(useless);
    assert.equal((await advice()).length, 1, JSON.stringify(useless));
  }
  for (const prefix of ['', 'fleet/', 'fleet/a/', 'fl']) {
    await setRules(expires, rule(prefix, { ID: 'other' }));
    assert.deepEqual(await advice(), [], prefix);
  }
});

test('who may not ask, and a server that has no rules, are silent, and are asked once', async () => {
  await setRules();
  server.permissions.set({ denied: ['s3:GetLifecycleConfiguration'] });
  try {
    assert.deepEqual(await advice(), []);
  } finally {
    server.permissions.clear();
  }
  for (const [status, code] of [
    [501, 'NotImplemented'],
    [503, 'SlowDown'],
  ] as const) {
    proxy.expect({ matches: ({ url }) => /\?lifecycle/.test(url), before: () => errorAnswer(status, code) });
    assert.deepEqual(await advice(), [], code);
    assert.equal(proxy.requests.length, 1, code);
  }
  proxy.expect();
});
