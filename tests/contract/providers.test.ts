/** The contract against the embedded server with the habits of each provider: what they do not take away is S3's. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { test } from 'node:test';
import type { S3Client } from '@aws-sdk/client-s3';
import { MIB } from '../../lib/core/units.ts';
import type { Habits } from '../../testing/s3-server/habits/habits.ts';
import { type ProviderName, providerNames, providers } from '../../testing/s3-server/habits/providers.ts';
import { startS3Server } from '../../testing/s3-server/server.ts';
import { resolveLocalNames } from '../support/local-names.ts';
import { contract, type Section, sectionsNamed } from './contract.ts';
import { providerLacks } from './provider-lacks.ts';
import { ACCOUNT, BUCKET, createClient, createTarget, makeScratch } from './start.ts';

/** The sections that habits touch; those of multipart uploads, which take longest, where the provider has a habit about them. */
const sections: readonly Section[] = ['objects', 'many deletes', 'conditions'];
const withMultipart: readonly ProviderName[] = ['b2', 'r2', 'minio', 'riak', 'seaweedfs'];

resolveLocalNames();

/** DeleteObjects with Content-MD5 alone, which the SDK has no option for. */
function vouchByMd5(client: S3Client): void {
  client.middlewareStack.add(
    (next, { commandName }) =>
      (args) => {
        if (commandName !== 'DeleteObjectsCommand') return next(args);
        const { headers, body } = args.request as { headers: Record<string, string>; body: string };
        for (const name of Object.keys(headers))
          if (/^x-amz-(sdk-)?checksum/.test(name)) delete headers[name];
        headers['content-md5'] = createHash('md5').update(body).digest('base64');
        return next(args);
      },
    { step: 'build', priority: 'low', name: 'vouchByMd5' },
  );
}

async function contractOf(provider: ProviderName): Promise<void> {
  const habits: Habits = providers[provider];
  const directory = await makeScratch();
  const account = { directory, buckets: [BUCKET], ...ACCOUNT };
  // Nothing here waits.
  const quick: Habits = habits.seenAfterMs === undefined ? {} : { seenAfterMs: 0 };
  const server = await startS3Server({ ...account, provider, habits: quick });
  const pathStyle = habits.pathStyleRefusal === undefined;
  const endpoint = pathStyle ? server.endpoint : `http://s3.localhost:${server.port}`;
  const client = createClient(endpoint, ACCOUNT, { pathStyle, checksums: 'WHEN_REQUIRED' });
  vouchByMd5(client);
  const target = createTarget(`embedded server as ${provider}`, endpoint);
  const lacks = new Set(providerLacks[provider]);
  const end = async () => {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  };
  const chosen: readonly Section[] = withMultipart.includes(provider)
    ? [...sections, 'multipart', 'multipart listing']
    : sections;
  // Above the limit of the one provider that has one.
  const largePutBytes = 2 * MIB;
  contract({ ...target, client, pathStyle, withoutChecksums: true, lacks, largePutBytes }, end, chosen);
}

for (const provider of providerNames) await contractOf(provider);

test('S3_SECTIONS names sections that there are', () => {
  assert.equal(sectionsNamed(''), undefined);
  assert.deepEqual(sectionsNamed('many deletes,archive'), ['many deletes', 'archive']);
  assert.throws(
    () => sectionsNamed('ranges,objekts'),
    /S3_SECTIONS has 'objekts', which is none of buckets, /,
  );
});
