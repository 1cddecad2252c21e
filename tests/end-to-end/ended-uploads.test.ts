/** A lifecycle rule that ends uploads before a chunk is complete: which rule it is, what helps, and a warning in time. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { PutBucketLifecycleConfigurationCommand } from '@aws-sdk/client-s3';
import { MIB } from '../../lib/core/units.ts';
import { RunDirectory } from '../../lib/edge/files/run-directory.ts';
import { refusal, smallWorld } from './small-world.ts';
import { hostIn } from './within-process.ts';
import type { World } from './world.ts';

/** A world with a rule of one day for uploads, and a chunk whose second part comes later than that. */
async function worldOfShortRule(t: TestContext, isShort: boolean, prefix = 'fleet/'): Promise<World> {
  const world = await smallWorld(t, isShort ? { habits: { uploadEndsAtPart: 2 } } : {});
  await writeFile(join(world.data, 'large'), randomBytes(7 * MIB));
  const rule = {
    ID: 'tidy',
    Status: 'Enabled' as const,
    Filter: { Prefix: prefix },
    AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 },
  };
  await world.client.send(
    new PutBucketLifecycleConfigurationCommand({
      Bucket: 'backups',
      LifecycleConfiguration: {
        Rules: [{ ...rule, ID: 'slower', AbortIncompleteMultipartUpload: { DaysAfterInitiation: 9 } }, rule],
      },
    }),
  );
  return world;
}

const ended = /^the upload of .*-00000\.bin was ended before it was complete: /;
const cure = /^let the rule wait 7 days or more .*, or lower CHUNK_SIZE \(8\.00 MiB\)/;

test('the rule that ended an upload is named with the cure, also in the warning of the next run', async (t) => {
  const world = await worldOfShortRule(t, true);
  const host = await hostIn(world);
  const first = await refusal(host.backUp());
  assert.match(first.message, ended);
  assert.match(
    first.message,
    /the lifecycle rule tidy of bucket backups ends uploads 1 day after they began$/,
  );
  assert.match(first.hint ?? '', cure);
  assert.deepEqual(host.warnings, []);
  await refusal(host.backUp());
  assert.match(
    host.warnings.join('\n'),
    /no longer knows the upload of .*-00000\.bin, and its parts are sent again: the lifecycle rule tidy .*; let the rule wait 7 days/,
  );
});

test('rules that cannot be read are the likely cause', async (t) => {
  const world = await worldOfShortRule(t, true);
  world.server.permissions.set({ denied: ['s3:GetLifecycleConfiguration'] });
  const { message, hint } = await refusal((await hostIn(world)).backUp());
  assert.match(
    message,
    /most likely by a lifecycle rule .*\(AbortIncompleteMultipartUpload\), but its rules cannot be read$/,
  );
  assert.match(hint ?? '', cure);
});

test('where no rule is for these keys, something else has aborted the upload', async (t) => {
  const world = await worldOfShortRule(t, true, 'photos/');
  const { message, hint } = await refusal((await hostIn(world)).backUp());
  assert.match(
    message,
    /no lifecycle rule of bucket backups does that, so the server by itself, or something else, aborted it$/,
  );
  assert.match(
    hint ?? '',
    /^find what aborts uploads below fleet\/host-1; MinIO does it after a day: raise its setting stale_uploads_expiry;/,
  );
});

test('a rule that is quicker than a chunk is at the last rate is warned of while the chunk is sent, and others are not', async (t) => {
  const world = await worldOfShortRule(t, false);
  const host = await hostIn(world);
  await host.backUp();
  assert.deepEqual(host.warnings, []);
  const run = new RunDirectory(world.runDirectory, 'data');
  for (const [rate, warned] of [
    [
      50,
      /^data: the lifecycle rule tidy .* 1 day after they began, and at the 50 B\/s of the last backup a chunk takes about 1d .*: let the rule wait 7 days/,
    ],
    [5000, /^$/],
  ] as const) {
    const published = await run.readPublished();
    assert.ok(published);
    await run.finish({ ...published, upload_rate: rate });
    await writeFile(join(world.data, 'large'), randomBytes(7 * MIB));
    const next = await hostIn(world);
    await next.backUp();
    assert.match(next.warnings.join('\n'), warned);
    assert.equal((await run.readPublished())?.upload_rate, rate, 'stays until another upload tells');
  }
});
