/** `btrfs send` that began again in the middle of its stream: whatever the place, it must not pass for a stream. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { COMMAND_HEADER_BYTES } from '../../../lib/core/stream/commands.ts';
import { StreamRestarted } from '../../../lib/core/stream/restart-watch.ts';
import { StreamInspector } from '../../../lib/core/stream/stream-inspector.ts';
import { end, firstCommand, header, makeFile, write } from '../../../testing/harness/send-streams.ts';
import { runs } from '../../support/fuzz.ts';

const own = '11111111-2222-4333-8444-555555555555';
const begin = Buffer.concat([header(), firstCommand('data__20260101T020000Z__full', own, 36)]);
const files = Buffer.concat(Array.from({ length: 40 }, (_, at) => makeFile(`o${257 + at}-7-0`)));
const dataBytes = 49_152;
const stream = Buffer.concat([begin, files, write('f', Buffer.alloc(dataBytes, 7)), end]);

/** Passes a stream through an inspector in pieces of one length, which come in the same memory. */
function inspect(bytes: Buffer, length: number): void {
  const inspector = new StreamInspector();
  const memory = Buffer.alloc(length);
  for (let at = 0; at < bytes.length; at += length) {
    inspector.push(memory.subarray(0, bytes.copy(memory, 0, at)));
  }
  inspector.finish();
}

test('a stream that begins again is found, wherever that is and however it is cut into pieces', () => {
  const anywhere = fc.integer({ min: begin.length, max: stream.length });
  const lengths = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 70_000 }));
  fc.assert(
    fc.property(anywhere, lengths, (at, length) => {
      const restarted = Buffer.concat([stream.subarray(0, at), stream]);
      assert.throws(() => inspect(restarted, length), StreamRestarted);
    }),
    runs(500),
  );
});

test('also where its commands seem to follow each other: the rest of a write ends where a command begins', () => {
  for (let command = 0; command < 40; command += 1) {
    const missing = begin.length + command * makeFile('o257-7-0').length;
    const at = stream.length - end.length - missing;
    const restarted = Buffer.concat([stream.subarray(0, at), stream]);
    assert.throws(() => inspect(restarted, 2 ** 20), StreamRestarted);
  }
});

test('bytes that begin as a stream does, and go on otherwise, are what they were', () => {
  const other = Buffer.concat([header(), firstCommand('data__20260101T020000Z__full', own, 37)]);
  const withOther = Buffer.concat([begin, write('a', other), end]);
  for (const length of [1, 16, 50, withOther.length]) inspect(withOther, length);
  // At the end of a piece it could still be a stream that begins again.
  const torn = Buffer.concat([begin, header()]);
  for (const rest of [Buffer.alloc(0), Buffer.alloc(COMMAND_HEADER_BYTES)]) {
    assert.throws(
      () => inspect(Buffer.concat([torn, rest]), torn.length),
      (error) => !(error instanceof StreamRestarted) && /no command has \d+ bytes/.test(String(error)),
    );
  }
});
