import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { JournalEvent } from '../../lib/core/run-files.ts';
import { Journal, readJournal } from '../../lib/edge/journal.ts';
import { temporaryDirectory, tinyFilesystem } from '../support/temporary-directory.ts';

const directory = temporaryDirectory('journal');
const path = join(directory, 'upload.jsonl');

const partOf = (number: number): JournalEvent => ({
  event: 'part-stored',
  index: 0,
  number,
  size: 1000,
  sha256: `hash-${number}`,
  etag: '"ümläut"',
});
const begun: JournalEvent = {
  event: 'chunk-begun',
  index: 0,
  key: 'host/subvol/dätä/chunk',
  upload_id: 'upload',
};
const events = [begun, partOf(1), partOf(2)];
const lineOf = (event: JournalEvent) => `${JSON.stringify(event)}\n`;

/** Writes events with the journal itself. */
async function write(
  list: readonly JournalEvent[],
  mode: 'begin' | 'continue' = 'begin',
  at = path,
): Promise<void> {
  const journal = await Journal.open(at, mode);
  for (const event of list) await journal.append(event);
  await journal.close();
}

test('what was appended is read, and going on adds to it', async () => {
  await write(events);
  assert.deepEqual(await readJournal(path), events);
  await write([partOf(3)], 'continue');
  assert.deepEqual(await readJournal(path), [...events, partOf(3)]);
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test('beginning forgets what was there', async () => {
  await write(events);
  await write([partOf(9)]);
  assert.deepEqual(await readJournal(path), [partOf(9)]);
});

test('events of parts that end at the same time are whole lines all', async () => {
  const journal = await Journal.open(path, 'begin');
  const many = Array.from({ length: 100 }, (_, index) => partOf(index + 1));
  await Promise.all(many.map((event) => journal.append(event)));
  await journal.close();
  const read = await readJournal(path);
  assert.deepEqual(
    read.map((event) => ('number' in event ? event.number : 0)).sort((a, b) => a - b),
    many.map((_, index) => index + 1),
  );
});

test('each event is in the file when its append has resolved', async () => {
  const journal = await Journal.open(path, 'begin');
  for (const [index, event] of events.entries()) {
    await journal.append(event);
    assert.equal(
      readFileSync(path, 'utf8'),
      events
        .slice(0, index + 1)
        .map(lineOf)
        .join(''),
    );
  }
  await journal.close();
});

test('a journal that is not there, or empty, has no events', async () => {
  assert.deepEqual(await readJournal(join(directory, 'none')), []);
  writeFileSync(path, '');
  assert.deepEqual(await readJournal(path), []);
});

test('torn at any byte of its last line, it has the events before; going on from there loses none after', async () => {
  const whole = Buffer.from(events.map(lineOf).join(''));
  const lastLine = Buffer.byteLength(lineOf(partOf(2)));
  for (let cut = 1; cut <= lastLine; cut++) {
    writeFileSync(path, whole.subarray(0, whole.length - cut));
    assert.deepEqual(await readJournal(path), [begun, partOf(1)], `${cut} bytes are missing`);
    await write([partOf(7), partOf(8)], 'continue');
    assert.deepEqual(
      await readJournal(path),
      [begun, partOf(1), partOf(7), partOf(8)],
      `${cut} bytes were missing`,
    );
  }
});

for (const [what, line] of [
  ['is no JSON', 'nonsense\n'],
  ['is empty', '\n'],
  ['is torn in the middle', lineOf(partOf(5)).slice(20)],
  ['is an event of a kind that is not known', '{"event":"other"}\n'],
  ['lacks a field', '{"event":"part-stored","index":0,"number":1}\n'],
  ['is two events in one', `${lineOf(partOf(5)).trim()}${lineOf(partOf(6))}`],
] as const) {
  test(`a line in the middle that ${what} ends the reading, and going on replaces it`, async () => {
    writeFileSync(path, lineOf(begun) + line + lineOf(partOf(2)));
    assert.deepEqual(await readJournal(path), [begun]);
    await write([partOf(7)], 'continue');
    assert.deepEqual(await readJournal(path), [begun, partOf(7)]);
  });
}

test('a journal that cannot be opened or read is named', async () => {
  await assert.rejects(
    Journal.open(join(directory, 'no', 'journal'), 'begin'),
    /cannot open .*no\/journal: it does not exist/,
  );
  await assert.rejects(readJournal(directory), new RegExp(`cannot read ${directory}`));
});

test('on a full disk an append fails in words, and what was appended before is still read', async () => {
  const full = join(tiny, 'upload.jsonl');
  const journal = await Journal.open(full, 'begin');
  let appended = 0;
  const filling = (async () => {
    for (; appended < 10_000; appended++) await journal.append(partOf(appended));
  })();
  await assert.rejects(filling, /cannot write .*upload\.jsonl: the disk is full/);
  await journal.close();
  assert.ok(appended > 100);
  assert.equal((await readJournal(full)).length, appended);
});

const tiny = tinyFilesystem('journal', 64 * 1024);
