/** The backups of many hosts: found by their keys alone, and distinguished. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readHostPrefix } from '../../../lib/cli/options/host-prefix.ts';
import { ToolError } from '../../../lib/core/errors.ts';
import { listHosts } from '../../../lib/stage/bucket/list-hosts.ts';
import { startTestBucket } from '../../support/bucket.ts';
import { publish, publishGeneration, put, putChunks } from '../../support/fake-backups.ts';
import { stageContext } from '../../support/stage-context.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const { bucket, server } = await startTestBucket(temporaryDirectory('list-hosts'));
const { context } = stageContext(bucket);
const at = (prefix: string) => ({ ...bucket, prefix });
await publishGeneration(at('fleet/one'), { day: 1, backups: 2 });
await publish(at('fleet/one'), { subvolume: 'home', day: 1 });
await publish(at('fleet/site/two'), { day: 3 });
await publish(at('fleet'), { day: 4 });
await putChunks(at('fleet/three'), { day: 5 });
await publish(at('fleet-2/four'), { day: 6 });
await publish(at('elsewhere'), { day: 7 });
await put(bucket, 'fleet/notes/subvol.txt', 'none of ours');

const told = async (prefix: string, subvolume?: string) =>
  Object.fromEntries(
    (await listHosts(context, prefix, subvolume)).map(({ prefix: host, backups }) => [
      host,
      backups.map((backup) => `${backup.subvolume} ${backup.kind}${backup.current ? ' *' : ''}`),
    ]),
  );

test('every host below a prefix is listed with its own backups, up to a slash', async () => {
  assert.deepEqual(await told('fleet'), {
    fleet: ['data full *'],
    'fleet/one': ['data full', 'data incremental *', 'home full *'],
    'fleet/site/two': ['data full *'],
    'fleet/three': [],
  });
  assert.deepEqual(Object.keys(await told('fleet/site')), ['fleet/site/two']);
  assert.deepEqual(await told('flee'), {});
});

test('the empty prefix is the whole bucket', async () => {
  assert.deepEqual(Object.keys(await told('')), [
    'elsewhere',
    'fleet',
    'fleet-2/four',
    'fleet/one',
    'fleet/site/two',
    'fleet/three',
  ]);
});

test('one subvolume leaves out the hosts that do not have it; one that none has is a mistake', async () => {
  assert.deepEqual(await told('fleet', 'home'), { 'fleet/one': ['home full *'] });
  await assert.rejects(told('fleet', 'hoem'), (error: unknown) => {
    assert.ok(error instanceof ToolError, String(error));
    assert.equal(error.kind, 'usage');
    assert.match(error.message, /^no host under fleet\/ has a backup of subvolume "hoem"/);
    return true;
  });
});

test('a host that may not be read is reported with its failure, and the others are listed', async () => {
  server.permissions.set({ denied: ['s3:GetObject fleet/site/*'] });
  try {
    const hosts = await listHosts(context, 'fleet');
    const failed = hosts.filter(({ failure }) => failure !== undefined);
    assert.deepEqual(
      failed.map(({ prefix }) => prefix),
      ['fleet/site/two'],
    );
    assert.match(failed[0]?.failure?.message ?? '', /access was denied/);
    assert.equal(hosts.find(({ prefix }) => prefix === 'fleet/one')?.backups.length, 3);
  } finally {
    server.permissions.clear();
  }
});

test('HOST_PREFIX follows the rules of S3_PREFIX', () => {
  assert.equal(readHostPrefix(undefined), undefined);
  assert.equal(readHostPrefix('/'), '');
  assert.equal(readHostPrefix('fleet'), 'fleet');
  assert.equal(readHostPrefix('fleet/site/'), 'fleet/site');
  for (const wrong of ['', '/fleet', 'fleet//site', 'fleet/../site', 'a\nb']) {
    assert.throws(
      () => readHostPrefix(wrong),
      (error: unknown) => error instanceof ToolError && error.kind === 'usage',
      JSON.stringify(wrong),
    );
  }
});
