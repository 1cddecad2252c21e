/** What is found out about a server before a snapshot is taken: with which requests, and in which words. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ListMultipartUploadsCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import type { ToolError } from '../../../lib/core/errors.ts';
import { readDocument } from '../../../lib/edge/s3/documents.ts';
import { explainS3Error } from '../../../lib/edge/s3/explain-error.ts';
import { probeOnce } from '../../../lib/stage/backup/probe-server.ts';
import type { Habits, RefusedHeaders } from '../../../testing/s3-server/habits/habits.ts';
import type { ProviderName } from '../../../testing/s3-server/habits/providers.ts';
import { openProvider } from '../../support/provider-bucket.ts';
import { shortenWaits } from '../../support/short-waits.ts';
import { stageContext } from '../../support/stage-context.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('probe-server');
// How long a server without support for Expect is waited for; one that answers does so within that, on a busy machine too.
shortenWaits(3000, 5);

interface Options {
  readonly habits?: Habits;
  readonly settings?: Readonly<Record<string, string>>;
}

/** Looks at a server of a provider; with the settings of most who have no archive there. */
async function probe(t: TestContext, provider: ProviderName | undefined, options: Options = {}) {
  const settings = { STORAGE_CLASS_CHUNKS: 'STANDARD', ...options.settings };
  const opened = await openProvider(t, directory, provider, { ...options, settings });
  const { bucket, server } = opened;
  const { context } = stageContext(bucket, settings);
  const error = await probeOnce(context, 'data').then(
    () => undefined,
    (reason: unknown) => reason as ToolError,
  );
  const { Uploads = [] } = await bucket.client.send(new ListMultipartUploadsCommand({ Bucket: bucket.name }));
  assert.deepEqual(Uploads, [], 'no upload is left');
  const operations = server.requests.map(({ operation }) => operation).slice(0, -1);
  return { ...opened, context, error, operations };
}

const text = (bucket: Parameters<typeof readDocument>[0]) => readDocument(bucket, 'host/RESTORE.txt', 10_000);

test('a server that takes an archive class and can thaw nothing is warned of, and one that can is not', async (t) => {
  const settings = { STORAGE_CLASS_CHUNKS: 'DEEP_ARCHIVE' };
  const ceph = await probe(t, 'ceph', { settings });
  assert.equal(ceph.error, undefined);
  const warned = ceph.notices.filter((notice) => notice.includes('RestoreObject'));
  assert.equal(warned.length, 1, ceph.notices.join('; '));
  assert.match(
    warned[0] ?? '',
    /^warn: the server has no RestoreObject, .* as DEEP_ARCHIVE can never .*STORAGE_CLASS_CHUNKS=STANDARD/,
  );
  const like = await probe(t, undefined, { settings });
  assert.deepEqual([like.error, like.notices], [undefined, []]);
  assert.equal(like.operations.at(-1), 'RestoreObject');
});

test('four requests find nothing amiss with a server that is as S3, five the first time', async (t) => {
  const first = await probe(t, undefined);
  assert.equal(first.error, undefined);
  const upload = ['CreateMultipartUpload', 'AbortMultipartUpload'];
  // The announced part is not among them: it was never sent.
  assert.deepEqual(first.operations, ['PutObject', 'PutObject', ...upload]);
  assert.match((await text(first.bucket))?.text ?? '', /btrfs receive/);
  await probeOnce(first.context, 'other');
  first.server.requests.length = 0;
  const again = stageContext(await first.reopen(), { STORAGE_CLASS_CHUNKS: 'STANDARD' });
  await probeOnce(again.context, 'data');
  assert.deepEqual(
    first.server.requests.map(({ operation }) => operation),
    ['PutObject', ...upload],
  );
  assert.deepEqual([first.bucket.habits.keepsConditions, first.notices], [true, []]);
});

for (const [provider, how] of [
  ['b2', 'refuses'],
  ['garage', 'ignores'],
  ['riak', 'ignores'],
] as const) {
  test(`${provider} ${how} conditional writes: one warning`, async (t) => {
    const { error, notices, bucket, context } = await probe(t, provider);
    assert.equal(error, undefined);
    const warnings = notices.filter((notice) => notice.startsWith('warn'));
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', new RegExp(`the server ${how} conditional writes`));
    await probeOnce(context, 'other');
    assert.equal(notices.filter((notice) => notice.startsWith('warn')).length, 1);
    assert.equal(bucket.habits.keepsConditions, false);
  });
}

test('b2 refuses checksums: Content-MD5, and no line but one of information', async (t) => {
  const { bucket, notices } = await probe(t, 'b2');
  assert.equal(bucket.habits.checksums, 'md5');
  assert.equal(notices.filter((notice) => notice.startsWith('info')).length, 1);
});

const vague = (headers: RegExp): RefusedHeaders => ({ headers, writesOnly: true, code: 'NotImplemented' });

for (const [what, provider, options, says, hint] of [
  [
    'minio has no KMS',
    'minio',
    {},
    /refuses server-side encryption: .*KMS is not configured/,
    /^set SSE=none$/,
  ],
  [
    'r2 has no SSE',
    'r2',
    {},
    /refuses server-side encryption: Header 'x-amz-server-side-enc/,
    /^set SSE=none$/,
  ],
  [
    'SSE is refused in general words',
    undefined,
    { habits: { refused: [vague(/^x-amz-server-side-encryption$/)] } },
    /refuses server-side encryption \(SSE=AES256\): .*NotImplemented/,
    /^set SSE=none$/,
  ],
  [
    'b2 has one class',
    'b2',
    { settings: { STORAGE_CLASS_CHUNKS: 'DEEP_ARCHIVE' } },
    /does not have this storage class: Backblaze only supports the 'STANDARD' storage class/,
    /STORAGE_CLASS_CHUNKS/,
  ],
  [
    'minio has no archive',
    'minio',
    { settings: { STORAGE_CLASS_CHUNKS: 'GLACIER', SSE: 'none' } },
    /does not have this storage class/,
    /STORAGE_CLASS_CHUNKS/,
  ],
  [
    'a class is refused in general words',
    undefined,
    {
      habits: { refused: [{ ...vague(/^x-amz-storage-class$/), except: ['STANDARD'] }] },
      settings: { STORAGE_CLASS_CHUNKS: 'GLACIER' },
    },
    /refuses the storage class GLACIER: .*NotImplemented/,
    /STORAGE_CLASS_CHUNKS/,
  ],
  [
    'nginx takes 1 MiB',
    'nginx',
    {},
    /^cannot send parts of 32\.0 MiB: the server, or a proxy in front of it, takes no request as large \(413\) \(bucket/,
    /PART_SIZE.*client_max_body_size/,
  ],
] as const) {
  test(`${what}: refused with the setting to change`, async (t) => {
    const { error } = await probe(t, provider, options);
    assert.match(error?.message ?? 'nothing was wrong', says);
    assert.match(error?.hint ?? '', hint);
  });
}

test('a codec is refused before the first part where parts must be of one size, and that is said where no name tells it', async (t) => {
  const { bucket, reopen } = await openProvider(t, directory, 'r2');
  const settings = { SSE: 'none', STORAGE_CLASS_CHUNKS: 'STANDARD', COMPRESS: 'zstd' };
  const look = (server: string, more: Readonly<Record<string, string>> = {}) =>
    probeOnce(stageContext({ ...bucket, server }, { ...settings, ...more }).context, 'data');
  const r2 = 'https://0123.r2.cloudflarestorage.com';
  await assert.rejects(look(r2), {
    message: /R2 takes only parts of one size, and COMPRESS/,
    hint: /CHUNK_SIZE no larger/,
  });
  await look(r2, { COMPRESS: 'none' });
  // A frame of one size becomes an encrypted one of one size.
  await look(r2, { COMPRESS: 'none', ENCRYPT_TO: 'age1x' });
  await probeOnce(
    stageContext(
      { ...(await reopen()), server: r2 },
      { ...settings, CHUNK_SIZE: '64MiB', PART_SIZE: '64MiB' },
    ).context,
    'data',
  );
  const answer = {
    message: 'All non-trailing parts must have the same length.',
    $metadata: { httpStatusCode: 400 },
  };
  const error = Object.assign(new Error(answer.message), answer, { name: 'InvalidPart' });
  const told = explainS3Error(error, { what: 'complete key', bucket: 'b', server: 's' }) as ToolError;
  assert.match(told.message, /takes only parts of one size/);
  assert.match(told.hint ?? '', /COMPRESS=none/);
});

test('a limit that a part stays below is none', async (t) => {
  const settings = { PART_SIZE: '5MiB', CHUNK_SIZE: '48GiB' };
  const { error } = await probe(t, 'nginx', { settings, habits: { bodyLimitBytes: 6 * 2 ** 20 } });
  assert.equal(error, undefined);
});

test('credentials that may write neither text nor upload are not what is looked for here', async (t) => {
  const { server, reopen } = await openProvider(t, directory, undefined);
  server.permissions.set({ denied: ['s3:PutObject'] });
  await probeOnce(stageContext(await reopen()).context, 'data');
  server.permissions.set({ denied: ['s3:AbortMultipartUpload'] });
  await probeOnce(stageContext(await reopen()).context, 'data');
});

test('a text of another version stays until it is replaced', async (t) => {
  const { bucket, reopen } = await openProvider(t, directory, undefined);
  await bucket.client.send(
    new PutObjectCommand({ Bucket: bucket.name, Key: 'host/RESTORE.txt', Body: 'old' }),
  );
  await probeOnce(stageContext(await reopen()).context, 'data');
  assert.equal((await text(bucket))?.text, 'old');
});
