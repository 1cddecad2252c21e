import assert from 'node:assert/strict';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { JournalEvent } from '../../../lib/core/format/run-files.ts';
import { seal } from '../../../lib/edge/files/checked-json.ts';
import { Journal, readJournal } from '../../../lib/edge/files/journal.ts';
import { runs } from '../../support/fuzz.ts';
import { temporaryDirectory, tinyFilesystem } from '../../support/temporary-directory.ts';

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
const lineOf = (event: JournalEvent) => `${JSON.stringify(seal(event))}\n`;

/** Writes events with the journal itself, into a new file or behind what is there. */
async function write(
  list: readonly JournalEvent[],
  mode: 'begin' | 'continue' = 'begin',
  at = path,
): Promise<void> {
  if (mode === 'begin') rmSync(at, { force: true });
  const journal = await Journal.open(at);
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

test('events of parts that end at the same time are whole lines all', async () => {
  rmSync(path, { force: true });
  const journal = await Journal.open(path);
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
  rmSync(path, { force: true });
  const journal = await Journal.open(path);
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

test('torn at any byte at all, it has the events that are whole', async () => {
  const lines = events.map((event) => Buffer.from(lineOf(event)));
  const whole = Buffer.concat(lines);
  for (let length = 0; length <= whole.length; length++) {
    writeFileSync(path, whole.subarray(0, length));
    let end = 0;
    const isWhole = lines.map((line) => {
      end += line.length;
      return end <= length;
    });
    assert.deepEqual(
      await readJournal(path),
      events.filter((_, index) => isWhole[index]),
      `${length} bytes are there`,
    );
  }
});

/** Fails unless what is read is the beginning of what was written. */
async function assertBeginning(what: string): Promise<void> {
  const read = await readJournal(path);
  assert.deepEqual(read, events.slice(0, read.length), what);
}

test('with any one bit flipped, no event says anything but what was written', async () => {
  const whole = Buffer.from(events.map(lineOf).join(''));
  for (let bit = 0; bit < whole.length * 8; bit++) {
    const flipped = Buffer.from(whole);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    writeFileSync(path, flipped);
    await assertBeginning(`bit ${bit}`);
  }
});

test('with any stretch overwritten, as by a failing disk, no event says anything but what was written', async () => {
  const whole = Buffer.from(events.map(lineOf).join(''));
  const stretch = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 600 }),
    fc.nat(600).map((length) => new Uint8Array(length)),
    fc
      .string({ unit: fc.constantFrom('{', '}', '"', ',', ':', '\n', '1', 'a') })
      .map((text) => Buffer.from(text)),
  );
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length - 1), stretch, async (at, bytes) => {
      const spoiled = Buffer.concat([whole.subarray(0, at), bytes, whole.subarray(at + bytes.length)]);
      writeFileSync(path, spoiled);
      await assertBeginning(`${bytes.length} bytes from ${at}`);
    }),
    runs(300),
  );
});

test('a line without its digest is none of ours', async () => {
  writeFileSync(path, `${lineOf(begun)}${JSON.stringify(partOf(1))}\n${lineOf(partOf(2))}`);
  assert.deepEqual(await readJournal(path), [begun]);
});

const chunk: JournalEvent = {
  event: 'chunk-completed',
  index: 0,
  key: 'k'.repeat(1024),
  size: 10_000,
  sha256: 'a'.repeat(64),
  etag: '"1"',
  part_size: 1,
  parts: Array.from({ length: 10_000 }, () => `${'A'.repeat(43)}=`),
};

test('the longest line that there can be is read', async () => {
  await write([chunk, partOf(1)]);
  assert.deepEqual(await readJournal(path), [chunk, partOf(1)]);
});

for (const [what, line] of [
  ['is of 10 MiB', `${JSON.stringify({ ...begun, upload_id: 'u'.repeat(10 * 2 ** 20) })}\n`],
  ['is nothing but NULs', `${'\0'.repeat(4096)}\n`],
  ['is very deep', `${'['.repeat(200_000)}\n`],
  ['is of other JSON', '{"manifest_key":"a","kind":"full"}\n'],
  ['has a part number that is none', lineOf({ ...partOf(1), number: 0 } as JournalEvent)],
  ['has a part number beyond all', lineOf({ ...partOf(1), number: 1e15 } as JournalEvent)],
  ['has a negative size', lineOf({ ...partOf(1), size: -1 } as JournalEvent)],
  ['has a negative place', lineOf({ ...begun, index: -1 } as JournalEvent)],
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
    Journal.open(join(directory, 'no', 'journal')),
    /cannot open .*no\/journal: it does not exist/,
  );
  await assert.rejects(readJournal(directory), new RegExp(`cannot read ${directory}`));
});

test('on a full disk an append fails in words, and what was appended before is still read', async () => {
  const full = join(tiny, 'upload.jsonl');
  const journal = await Journal.open(full);
  let appended = 0;
  const filling = (async () => {
    for (; appended < 10_000; appended++) await journal.append(partOf(appended + 1));
  })();
  await assert.rejects(filling, /cannot write .*upload\.jsonl: the disk is full/);
  await journal.close();
  assert.ok(appended > 100);
  assert.equal((await readJournal(full)).length, appended);
});

const tiny = tinyFilesystem('journal', 64 * 1024);
