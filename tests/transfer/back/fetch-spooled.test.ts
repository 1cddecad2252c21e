import assert from 'node:assert/strict';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, test } from 'node:test';
import { exitCodeOf } from '../../../lib/core/errors.ts';
import { startTestBucket } from '../../support/bucket.ts';
import { errorAnswer } from '../../support/faulty-proxy.ts';
import { shortenWaits } from '../../support/short-waits.ts';
import { content, sha256, storedStreams, withChunk } from '../../support/stored-streams.ts';
import { temporaryDirectory, tinyFilesystem } from '../../support/temporary-directory.ts';

shortenWaits();
const directory = temporaryDirectory('fetch-spooled');
const spool = join(directory, 'spool');
mkdirSync(spool);
const tiny = tinyFilesystem('fetch-spooled', 1024 * 1024);
const own = await startTestBucket(join(directory, 's3'));
const { proxy } = own;
const { store, fetchInto, flipOnTheWay } = storedStreams(own, spool);
beforeEach(() => proxy.expect());

test('a chunk without recorded parts that changes on its way is read again as a whole', async () => {
  const data = content(70_000);
  const manifest = await store([data], false);
  flipOnTheWay('bytes=0-69999', 1, 'another');
  const { sunk, progress, warnings } = await fetchInto(manifest);
  assert.ok(sunk.equals(data), 'what arrived is the chunk');
  assert.equal(progress.bytes, 70_000);
  assert.equal(warnings.length, 1);
  assert.deepEqual(readdirSync(spool), []);
});

test('a chunk without recorded parts is spooled, and handed on when its hash is known to be right', async () => {
  const chunks = [content(70_000), content(10)];
  const { fetched, sunk } = await fetchInto(await store(chunks, false));
  assert.ok(sunk.equals(Buffer.concat(chunks)));
  assert.deepEqual(fetched, { sha256: sha256(Buffer.concat(chunks)) });
  assert.deepEqual(readdirSync(spool), []);
});

test('nothing of a chunk without recorded parts reaches the sink when its hash is wrong', async () => {
  const chunks = [content(50), content(70_000)];
  const manifest = await store(chunks, false);
  const { error, sunk } = await fetchInto(withChunk(manifest, 1, { sha256: 'a'.repeat(64) }));
  assert.match(error?.message ?? '', /is damaged: its SHA-256 is not that of the manifest/);
  assert.equal(exitCodeOf(error), 4);
  assert.ok(sunk.equals(chunks[0] ?? Buffer.alloc(1)));
  assert.deepEqual(readdirSync(spool), []);
});

test('a chunk that does not fit the spool directory is an error; nothing of it is handed on or left', async () => {
  const manifest = await store([content(1_500_000)], false);
  const { error, sunk } = await fetchInto(manifest, { spoolDirectory: tiny });
  assert.match(error?.message ?? '', /cannot spool a chunk in .*: the disk is full/);
  assert.equal(sunk.length, 0);
  assert.deepEqual(readdirSync(tiny), []);
});

test('a refusal while spooling leaves no file', async () => {
  const manifest = await store([content(100)], false);
  proxy.expect({ matches: () => true, before: () => errorAnswer(403, 'AccessDenied') });
  const { error } = await fetchInto(manifest);
  assert.match(error?.message ?? '', /access was denied/);
  assert.deepEqual(readdirSync(spool), []);
});

test('parts that are too large for memory wait on disk one by one, each until its hash is known to be right', async () => {
  const chunks = [content(35_000), content(10)];
  const manifest = await store(chunks, true);
  flipOnTheWay('bytes=10000-19999', 1, 'another');
  const { fetched, sunk, progress, warnings } = await fetchInto(manifest, { heldPartBytes: 9_999 });
  assert.ok(sunk.equals(Buffer.concat(chunks)));
  assert.equal(fetched?.sha256, sha256(Buffer.concat(chunks)));
  assert.equal(progress.bytes, 35_010);
  assert.match(warnings.join(), /^part 2 of \S+ is not what was uploaded: reading it again$/);
  assert.deepEqual(readdirSync(spool), []);
});

test('of a large part that is not what was uploaded nothing reaches the sink', async () => {
  const data = content(25_000);
  const manifest = await store([data], true);
  const parts = manifest.chunks[0]?.parts?.with(1, `${'A'.repeat(43)}=`);
  const { error, sunk } = await fetchInto(withChunk(manifest, 0, { parts }), { heldPartBytes: 1 });
  assert.match(error?.message ?? '', /^part 2 of \S+ is damaged: it is not what was uploaded/);
  assert.ok(sunk.equals(data.subarray(0, 10_000)), 'the part before it');
  const whole = await fetchInto(withChunk(manifest, 0, { sha256: 'a'.repeat(64) }), { heldPartBytes: 1 });
  assert.match(whole.error?.message ?? '', /its SHA-256 is not that of the manifest/);
});
