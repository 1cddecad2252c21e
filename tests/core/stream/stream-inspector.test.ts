import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { StreamFormatError } from '../../../lib/core/stream/commands.ts';
import { crc32c } from '../../../lib/core/stream/crc32c.ts';
import { PathTooLong } from '../../../lib/core/stream/path-limits.ts';
import { RootAttributes } from '../../../lib/core/stream/rewrite/root-attributes.ts';
import type { StreamHead } from '../../../lib/core/stream/stream-head.ts';
import { StreamInspector } from '../../../lib/core/stream/stream-inspector.ts';
import {
  clone,
  end,
  firstCommand,
  header,
  makeFile,
  removeXattr,
  rename,
  setXattr,
  symlink,
  write,
} from '../../../testing/harness/send-streams.ts';
import { runs } from '../../support/fuzz.ts';

const own = '11111111-2222-4333-8444-555555555555';
const parent = '99999999-8888-4777-8666-555555555555';
const [label, parentLabel] = ['aaaaaaaa-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000002'];
const full = Buffer.concat([
  header(),
  firstCommand('data__20260101T020000Z__full', own, 36),
  makeFile('o257-7-0'),
  rename('o257-7-0', 'f'),
  write('f', Buffer.alloc(40_000, 7)),
  end,
]);

/** Passes a stream through an inspector in pieces of the given lengths, over and over. */
function pass(inspector: StreamInspector, stream: Uint8Array, lengths: readonly number[]): Buffer {
  const out: Uint8Array[] = [];
  for (let at = 0, turn = 0; at < stream.length; turn++) {
    const length = lengths[turn % lengths.length] ?? 1;
    out.push(...inspector.push(stream.subarray(at, at + length)).map((piece) => Buffer.from(piece)));
    at += length;
  }
  return Buffer.concat(out);
}

const pieces = fc.array(fc.integer({ min: 1, max: 50_000 }), { minLength: 1, maxLength: 8 });

test('the checksum is that of the kernel', () => {
  // Of the SUBVOL command of a real stream (btrfs-progs 6.2, kernel 6.18), with zeros in its place.
  const command = Buffer.from(
    '26000000010000000000' +
      '0f0002007331' +
      '01001000017fa07b738d264fbc0dfc32b06d4b6a' +
      '020008000700000000000000',
    'hex',
  );
  assert.equal(crc32c(command), 0x3cd664af);
});

test('what passes is what comes, in whatever pieces, and the head is reported before anything is passed on', () => {
  fc.assert(
    fc.property(pieces, (lengths) => {
      const heads: StreamHead[] = [];
      const inspector = new StreamInspector({ onHead: (head) => heads.push(head) });
      assert.ok(pass(inspector, full, lengths).equals(full));
      assert.deepEqual(heads, [{ version: 1, uuid: own, transid: 36, parent: undefined }]);
      assert.deepEqual(inspector.finish(), heads[0]);
    }),
    runs(200),
  );
  const refusing = new StreamInspector({
    onHead: () => {
      throw new Error('refused');
    },
  });
  assert.throws(() => refusing.push(full), /refused/);
});

test('an incremental stream names its parent', () => {
  const inspector = new StreamInspector();
  inspector.push(Buffer.concat([header(2), firstCommand('x', own, 40, [parent, 36]), end]));
  assert.deepEqual(inspector.finish(), {
    version: 2,
    uuid: own,
    transid: 40,
    parent: { uuid: parent, transid: 36 },
  });
});

test('a stream gets other labels: name, UUIDs, and what is cloned from, distinguished by its state', () => {
  const make = (
    name: string,
    ownUuid: string,
    parentUuid: string,
    cloned: readonly [string, string, string],
  ) =>
    Buffer.concat([
      header(),
      firstCommand(name, ownUuid, 40, [parentUuid, 36]),
      clone('g', cloned[0], 36, 'f'),
      write('h', Buffer.alloc(70_000, 1)),
      clone('i', cloned[1], 40, 'h'),
      clone('j', cloned[2], 40, 'k'),
      end,
    ]);
  const labels = { name: 'a', uuid: label, parentUuid: parentLabel, rootAttributes: new RootAttributes() };
  // As of a subvolume that gives its received UUID to its snapshots: one UUID for both.
  const other = 'bbbbbbbb-0000-4000-8000-000000000003';
  const stream = make('a long name', own, own, [own, own, other]);
  const expected = make('a', label, parentLabel, [parentLabel, label, other]);
  fc.assert(
    fc.property(pieces, (lengths) => {
      assert.ok(pass(new StreamInspector({ labels }), stream, lengths).equals(expected));
    }),
    runs(200),
  );
});

const limit = 4090;
const long = (bytes: number) => 'd/'.repeat(bytes / 2) + 'e'.repeat(bytes % 2);
const withCommand = (command: Uint8Array) =>
  Buffer.concat([header(), firstCommand('x', own, 1), command, end]);

for (const [what, fits, tooLong] of [
  ['made', makeFile(long(limit)), makeFile(long(limit + 1))],
  ['written', write(long(limit), Buffer.alloc(50_000)), write(long(limit + 1), Buffer.alloc(50_000))],
  ['renamed to', rename('a', long(limit)), rename('a', long(limit + 1))],
  ['cloned from in the parent', clone('a', parent, 1, long(4000)), clone('a', parent, 1, long(4001))],
  ['cloned from in the snapshot', clone('a', own, 1, long(limit)), clone('a', own, 1, long(limit + 1))],
] as const) {
  test(`a path that is ${what} may have so many bytes and no more`, () => {
    new StreamInspector().push(withCommand(fits));
    assert.throws(
      () => new StreamInspector().push(withCommand(tooLong)),
      (error) =>
        error instanceof PathTooLong && error.path.length === (what.endsWith('parent') ? 4001 : limit + 1),
    );
  });
}

test('what a symbolic link points to may be longer', () => {
  new StreamInspector().push(withCommand(symlink('a', long(4095))));
});

for (const [what, bytes, message] of [
  ['no stream', Buffer.from('this is no send stream'), /does not begin as a send stream does/],
  ['bytes that repeat themselves', Buffer.alloc(1000), /does not begin as a send stream does/],
  [
    'a first command that makes no subvolume',
    Buffer.concat([header(), makeFile('a')]),
    /of type 3, makes no/,
  ],
  [
    'a first command with another checksum',
    Buffer.concat([header(), flip(firstCommand('x', own, 1), 20)]),
    /checksum/,
  ],
  [
    'a first command without UUID',
    Buffer.concat([header(), flip(Buffer.from('00000000010000000000', 'hex'), 6)]),
    /checksum/,
  ],
  ['a command of gigabytes', Buffer.concat([header(), Buffer.alloc(10, 0xff)]), /no command has \d+ bytes/],
] as const) {
  test(`${what} is refused`, () => {
    assert.throws(
      () => new StreamInspector().push(bytes),
      (error) => {
        assert.ok(error instanceof StreamFormatError);
        assert.match(error.message, message);
        return true;
      },
    );
  });
}

test('a stream that is cut anywhere has not come to its end', () => {
  for (const length of [0, 5, 17, 20, full.length - end.length, full.length - 1]) {
    const inspector = new StreamInspector();
    inspector.push(full.subarray(0, length));
    assert.throws(() => inspector.finish(), /ends early/);
  }
});

test('bytes that are anything are a stream, or refused as none', () => {
  const flips = fc.array(fc.tuple(fc.nat({ max: 400 }), fc.nat({ max: 255 })), { maxLength: 6 });
  fc.assert(
    fc.property(flips, pieces, (changes, lengths) => {
      const stream = Buffer.from(full);
      for (const [at, value] of changes) stream.writeUInt8(value, at);
      try {
        const inspector = new StreamInspector();
        const passed = pass(inspector, stream, lengths);
        inspector.finish();
        assert.ok(passed.equals(stream), 'nothing is held back at the end');
      } catch (error) {
        assert.ok(error instanceof StreamFormatError || error instanceof PathTooLong, String(error));
      }
    }),
    runs(500),
  );
});

function flip(bytes: Uint8Array, at: number): Buffer {
  const flipped = Buffer.from(bytes);
  flipped.writeUInt8(flipped.readUInt8(at) ^ 1, at);
  return flipped;
}

test('what files would inherit of the top directory is set last, and taken away first of what it inherits and before the next stream', () => {
  const rootAttributes = new RootAttributes();
  let inheritsCompression = true;
  const passed = (parentUuid: string | undefined, ...commands: readonly Uint8Array[]) => {
    const labels = { name: 'a', uuid: label, parentUuid, rootAttributes, inheritsCompression };
    const first = firstCommand('x', own, 40, parentUuid === undefined ? undefined : [parent, 36]);
    const stream = Buffer.concat([header(), first, ...commands, end]);
    const relabelled = firstCommand('a', label, 40, parentUuid === undefined ? undefined : [parentUuid, 36]);
    const out = pass(new StreamInspector({ labels }), stream, [7]);
    assert.ok(
      out.subarray(0, 17 + relabelled.length).equals(Buffer.concat([header(), relabelled])),
      'the labels',
    );
    return out.subarray(17 + relabelled.length);
  };
  const zstd = setXattr('', 'btrfs.compression', 'zstd');
  const others = [setXattr('f', 'btrfs.compression', 'lzo'), setXattr('', 'user.a', 'b')];
  const cleared = setXattr('', 'btrfs.compression', '');
  assert.deepEqual(passed(undefined, zstd, ...others), Buffer.concat([cleared, ...others, zstd, end]));
  inheritsCompression = false;
  assert.deepEqual(passed(undefined, zstd, ...others), Buffer.concat([...others, zstd, end]));
  const lzo = setXattr('', 'btrfs.compression', 'lzo');
  const acl = setXattr('', 'system.posix_acl_default', 'acl');
  const [removeCompression, removeAcl] = ['btrfs.compression', 'system.posix_acl_default'].map((name) =>
    removeXattr('', name),
  );
  assert.ok(removeCompression && removeAcl);
  assert.deepEqual(passed(parentLabel, lzo, acl), Buffer.concat([removeCompression, lzo, acl, end]));
  assert.deepEqual(
    passed(parentLabel, removeCompression),
    Buffer.concat([removeCompression, removeAcl, acl, end]),
  );
});
