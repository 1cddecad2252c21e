/** Thaws on servers that are slow, silent, of few words or refuse: what is asked, and what is asked only once. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { beforeEach, test } from 'node:test';
import { exitCodeOf } from '../../../lib/core/errors.ts';
import { SubvolumeKeys } from '../../../lib/core/format/names.ts';
import { type ThawRequest, thawAndWait, thawChunks } from '../../../lib/stage/restore/thaw.ts';
import { startTestBucket } from '../../support/bucket.ts';
import {
  errorAnswer,
  type Fault,
  type ProxiedAnswer,
  type ProxiedRequest,
} from '../../support/faulty-proxy.ts';
import { putAs } from '../../support/put-as.ts';
import { stageContext } from '../../support/stage-context.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('thaw');
const { bucket, proxy, server } = await startTestBucket(
  join(directory, 's3'),
  {},
  { thawDelayMs: 3_600_000 },
);
beforeEach(() => proxy.expect());

const day = 86_400_000;
let names = 0;

/** A request for chunks in some classes, of a subvolume of their own. */
async function archived(
  ...classes: readonly ('DEEP_ARCHIVE' | 'GLACIER' | 'GLACIER_IR')[]
): Promise<ThawRequest> {
  const subvolume = `data-${names++}`;
  const keys = new SubvolumeKeys('host', subvolume);
  const chunks = classes.map((_, index) => ({
    key: keys.chunk('full', '20260101T020000Z', index),
    size: 3,
    sha256: '0'.repeat(64),
  }));
  for (const [index, storageClass] of classes.entries()) {
    await putAs(bucket, chunks[index]?.key ?? '', storageClass);
  }
  proxy.expect();
  const manifestKey = keys.manifest('full', '20260101T020000Z');
  return { subvolume, manifestKey, chunks, terms: { tier: 'Standard', days: 7 }, neededMs: day };
}

const isRestore = ({ method, url }: ProxiedRequest) => method === 'POST' && url.includes('restore');
const isListing = ({ method, url }: ProxiedRequest) => method === 'GET' && url.includes('list-type=2');
const isHead = ({ method }: ProxiedRequest) => method === 'HEAD';
const countOf = (matches: (request: ProxiedRequest) => boolean) => proxy.requests.filter(matches).length;
const refusing = (status: number, code: string): Fault => ({
  matches: isRestore,
  before: () => errorAnswer(status, code),
});

/** Listings as of a server that does not know the attribute. */
const silentListing: Fault = {
  matches: isListing,
  after: (answer): ProxiedAnswer => {
    const body = Buffer.from(String(answer.body).replaceAll(/<RestoreStatus>.*?<\/RestoreStatus>/gs, ''));
    const { 'content-length': _, ...headers } = answer.headers;
    return { ...answer, body, headers };
  },
};

test('one request for each archived object; what thaws is reported by the listing, and nothing is asked again', async () => {
  const request = await archived('DEEP_ARCHIVE', 'GLACIER', 'GLACIER_IR');
  const { context } = stageContext(bucket);
  const first = await thawChunks(context, request);
  assert.equal(first.requested, 2);
  assert.deepEqual([first.progress.thawing, first.progress.cold, first.progress.readable], [2, 0, 1]);
  assert.equal(countOf(isRestore), 2);
  proxy.expect();
  const second = await thawChunks(context, request);
  assert.deepEqual([second.requested, second.progress.thawing], [0, 2]);
  assert.deepEqual([countOf(isListing), proxy.requests.length], [1, 1], 'one question');
});

test('where listings do not show it, HEAD is asked, and nothing is requested twice either', async () => {
  const request = await archived('DEEP_ARCHIVE', 'DEEP_ARCHIVE');
  const { context } = stageContext(bucket);
  proxy.expect(silentListing);
  assert.equal((await thawChunks(context, request)).requested, 2);
  const again = await thawChunks(context, request);
  assert.deepEqual([again.requested, again.progress.thawing, countOf(isRestore)], [0, 2, 2]);
  await server.thaws.finish();
  assert.equal((await thawChunks(context, request)).progress.thawed, 2);
});

test('a thaw that another writer has requested meanwhile is progress', async () => {
  const request = await archived('DEEP_ARCHIVE');
  const { context } = stageContext(bucket);
  await thawChunks(context, request);
  // As if the bucket did not show it yet.
  const withoutHeader: Fault = {
    matches: isHead,
    after: ({ headers: { 'x-amz-restore': _, ...headers }, ...answer }) => ({ ...answer, headers }),
  };
  proxy.expect(silentListing, withoutHeader);
  const { requested, progress } = await thawChunks(context, request);
  assert.equal(countOf(isRestore), 1);
  assert.deepEqual([requested, progress.thawing, progress.cold], [0, 1, 0]);
});

test('a copy that goes too early is asked for again, once', async () => {
  const request = await archived('GLACIER');
  const { context } = stageContext(bucket);
  await thawChunks(context, request);
  await server.thaws.finish();
  proxy.expect();
  assert.equal((await thawChunks(context, request)).requested, 0);
  const longer = { ...request, neededMs: 20 * day, terms: { tier: 'Standard', days: 20 } as const };
  assert.equal((await thawChunks(context, longer)).requested, 1);
  assert.equal((await thawChunks(context, longer)).requested, 0);
  assert.equal(countOf(isRestore), 1);
});

test('a wait ends when all can be read', async () => {
  const request = await archived('DEEP_ARCHIVE', 'DEEP_ARCHIVE');
  const { context } = stageContext(bucket);
  const waiting = thawAndWait(context, request, true);
  while (countOf(isRestore) < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  await server.thaws.finish();
  await waiting;
  assert.equal(countOf(isRestore), 2);
});

test('a server that has no thaw keeps only the name of the class: its objects are read as they are', async () => {
  for (const [status, code] of [
    [501, 'NotImplemented'],
    [405, 'MethodNotAllowed'],
  ] as const) {
    const request = await archived('GLACIER');
    const { context, warnings } = stageContext(bucket);
    proxy.expect(refusing(status, code));
    await thawAndWait(context, request, false);
    assert.deepEqual(warnings, [
      'the server does not support RestoreObject; assuming archived chunks are readable',
    ]);
  }
});

test('an object that was moved out of the archive meanwhile needs no thaw', async () => {
  const request = await archived('GLACIER');
  proxy.expect(refusing(403, 'InvalidObjectState'));
  const { requested, progress } = await thawChunks(stageContext(bucket).context, request);
  assert.deepEqual([requested, progress.readable], [0, 1]);
});

for (const [status, code, line] of [
  [403, 'AccessDenied', /^cannot request the thaw of host\/.*: access was denied/],
  [503, 'GlacierExpeditedRetrievalNotAvailable', /: there is no capacity for expedited thaws now/],
] as const) {
  test(`${code} is reported at once`, async () => {
    const request = await archived('GLACIER');
    proxy.expect(refusing(status, code));
    await assert.rejects(thawChunks(stageContext(bucket).context, request), (error: Error) => {
      assert.match(error.message, line);
      return exitCodeOf(error) === 1;
    });
    assert.equal(countOf(isRestore), 1);
  });
}

test('a chunk that is not there, or has another size, is damage, and nothing is requested', async () => {
  const request = await archived('DEEP_ARCHIVE', 'DEEP_ARCHIVE');
  const [one, two] = request.chunks;
  assert.ok(one && two, 'there are two');
  for (const [other, line] of [
    [{ ...two, key: `${two.key}x` }, /^chunk .*x is missing$/],
    [{ ...two, size: 4 }, /^chunk .* has 3 bytes instead of 4$/],
  ] as const) {
    const both = { ...request, chunks: [one, other] };
    await assert.rejects(thawChunks(stageContext(bucket).context, both), (error: Error) => {
      assert.match(error.message, line);
      return exitCodeOf(error) === 4;
    });
  }
  assert.equal(countOf(isRestore), 0);
});

test('the days that are asked for reach the server', async () => {
  const request = await archived('DEEP_ARCHIVE');
  const { context } = stageContext(bucket);
  await thawChunks(context, { ...request, terms: { tier: 'Bulk', days: 30 } });
  await server.thaws.finish();
  const { progress } = await thawChunks(context, request);
  // The server counted from the end of the delay; whole days, rounded up to midnight.
  const days = ((progress.expiresAtMs ?? 0) - Date.now()) / day;
  assert.equal(days > 30 && days < 31.1, true, `${days} days`);
});

test('while a run waits, what thaws already is asked for a faster tier once', async () => {
  const request = { ...(await archived('GLACIER', 'GLACIER')), mayHurry: true };
  const { context } = stageContext(bucket, { RESTORE_TIMEOUT: '4s' });
  await thawChunks(context, { ...request, terms: { tier: 'Bulk', days: 7 } });
  proxy.expect();
  const error = await thawAndWait(context, request, true).catch((reason: unknown) => reason);
  assert.equal(exitCodeOf(error), 5);
  assert.match(`${error}`, /it takes 3h 00m to 5h 00m from the request on/);
  assert.equal(countOf(isRestore), 2, 'and no second time');
  assert.ok(countOf(isListing) > 2);
});

test('a server that takes no faster tier is asked for one once', async () => {
  const request = { ...(await archived('GLACIER')), mayHurry: true };
  const { context } = stageContext(bucket, { RESTORE_TIMEOUT: '4s' });
  await thawChunks(context, { ...request, terms: { tier: 'Bulk', days: 7 } });
  proxy.expect(refusing(409, 'RestoreAlreadyInProgress'));
  const error = await thawAndWait(context, request, true).catch((reason: unknown) => reason);
  assert.match(`${error}`, /requested before, in a tier that the bucket does not show: 12h 00m at most/);
  assert.equal(countOf(isRestore), 1);
});
