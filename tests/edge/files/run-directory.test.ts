import assert from 'node:assert/strict';
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ToolError } from '../../../lib/core/errors.ts';
import { snapshotName } from '../../../lib/core/format/names.ts';
import type { ChunksFile, PruningFile, SnapshotFile } from '../../../lib/core/format/run-files.ts';
import { seal } from '../../../lib/edge/files/checked-json.ts';
import { RunDirectory } from '../../../lib/edge/files/run-directory.ts';
import { dayStamp, keys, uuidOf } from '../../core/samples.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('run-directory');
const run = new RunDirectory(directory, 'data');
mkdirSync(run.path);

const name = snapshotName('data', dayStamp(1), 'full');
const snapshot: SnapshotFile = {
  subvolume: 'data',
  kind: 'full',
  created_at: dayStamp(1),
  snapshot: {
    name,
    path: `/mnt/snapshots/${name}`,
    uuid: uuidOf(1),
    parent_uuid: null,
    received_uuid: null,
    generation: 7,
    mtime: '1767319200.000000001',
  },
  parent: null,
  pointer_etag: '"e"',
  started_at: '2026-01-01T02:00:00Z',
};
const chunks: ChunksFile = {
  identity: {
    snapshot_uuid: uuidOf(1),
    parent_uuid: null,
    server: 'AWS eu-central-1',
    bucket: 'backups',
    prefix: 'home-server',
    storage_class: 'STANDARD',
    sse: 'AES256',
    chunk_size: 2000,
    part_size: 1000,
    compress: 'none',
    encrypt_to: '',
  },
  chunks: [
    {
      index: 0,
      key: keys.chunk('full', dayStamp(1), 0),
      size: 1000,
      sha256: 'a'.repeat(64),
      etag: '"1"',
      part_size: 1000,
      parts: [`${'A'.repeat(43)}=`],
    },
  ],
  chunk_size: 2000,
  stream: { bytes: 1000, sha256: 'b'.repeat(64), protocol: 1, compressed_data: false },
  started_at: '2026-01-01T02:00:00Z',
  finished_at: '2026-01-01T03:00:00Z',
};

const pruning: PruningFile = {
  server: 'AWS eu-central-1',
  bucket: 'backups',
  prefix: 'home-server',
  manifest_keys: [keys.manifest('full', dayStamp(1)), keys.manifest('incremental', dayStamp(2))],
};

const files = {
  'snapshot.json': {
    content: snapshot,
    write: () => run.writeSnapshot(snapshot),
    read: () => run.readSnapshot(),
  },
  'chunks.json': { content: chunks, write: () => run.writeChunks(chunks), read: () => run.readChunks() },
  'pruning.json': {
    content: pruning,
    write: () => run.writePruning(pruning),
    read: () => run.readPruning(),
  },
} as const;

/** Fails unless a file is refused in a line that names it and says what to do. */
async function assertRefused(read: () => Promise<unknown>, file: string, what: string): Promise<void> {
  const outcome = await read().catch((error: unknown) => error);
  assert.ok(outcome instanceof ToolError, `${what}: ${JSON.stringify(outcome)}`);
  assert.match(
    outcome.message,
    new RegExp(`^${join(run.path, file)} (cannot be understood|is of subvolume)`),
    what,
  );
  assert.match(outcome.hint ?? '', /run make backup, which sets it aside, or remove it/, what);
}

for (const [file, { content, write, read }] of Object.entries(files)) {
  const path = join(run.path, file);

  test(`${file} comes back as it was written`, async () => {
    await write();
    assert.deepEqual(await read(), content);
  });

  test(`${file} without its digest is refused`, async () => {
    writeFileSync(path, JSON.stringify(content));
    await assertRefused(read, file, 'no digest');
  });

  test(`${file} that is torn at any byte is refused`, async () => {
    await write();
    const whole = readFileSync(path);
    // Without the final line break it is whole.
    for (let length = whole.length - 2; length >= 0; length--) {
      truncateSync(path, length);
      await assertRefused(read, file, `${length} bytes`);
    }
  });

  test(`${file} with any one bit flipped is refused, or says what it said`, async () => {
    await write();
    const whole = readFileSync(path);
    // In place: to write the file anew for each bit takes longer than to read it.
    const file = openSync(path, 'r+');
    const writeByte = (at: number, byte: number) => writeSync(file, Uint8Array.of(byte), 0, 1, at);
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const [at, byte] = [bit >> 3, whole.readUInt8(bit >> 3)];
      writeByte(at, byte ^ (1 << (bit & 7)));
      const outcome: unknown = await read().catch((error: unknown) => error);
      // A line break that became a blank, or a digest that lost its name, changes nothing that is said.
      if (!(outcome instanceof ToolError)) assert.deepEqual(outcome, content, `bit ${bit}`);
      writeByte(at, byte);
    }
    closeSync(file);
    assert.ok(readFileSync(path).equals(whole));
  });

  test(`${file} that is something else is refused`, async () => {
    for (const text of [
      '',
      '\0'.repeat(4096),
      'null',
      '[]',
      '"x"',
      '{}',
      '[['.repeat(50_000),
      '{"__proto__":{}}',
    ]) {
      writeFileSync(path, text);
      await assertRefused(read, file, text.slice(0, 20));
    }
  });
}

const foreign = '/mnt/important';
for (const [what, changes] of [
  ['the path of a foreign subvolume', { snapshot: { ...snapshot.snapshot, path: foreign } }],
  [
    'a foreign subvolume altogether',
    { snapshot: { ...snapshot.snapshot, path: foreign, name: 'important' } },
  ],
  ['a path that is not absolute', { snapshot: { ...snapshot.snapshot, path: `snapshots/${name}` } }],
  ['a path that only ends alike', { snapshot: { ...snapshot.snapshot, path: `/mnt/snapshots/x${name}` } }],
  ['the name of another time', { created_at: dayStamp(2) }],
  ['the name of another kind', { kind: 'incremental' }],
  ['a subvolume that leads elsewhere', { subvolume: '../data' }],
  ['no time', { created_at: '../../x' }],
] as const) {
  test(`a snapshot.json with ${what} is refused`, async () => {
    writeFileSync(join(run.path, 'snapshot.json'), JSON.stringify(seal({ ...snapshot, ...changes })));
    await assertRefused(() => run.readSnapshot(), 'snapshot.json', what);
  });
}

test('a snapshot.json of another subvolume is refused: its snapshot is not ours to send or to delete', async () => {
  const other = snapshotName('home', dayStamp(1), 'full');
  const file = {
    ...snapshot,
    subvolume: 'home',
    snapshot: { ...snapshot.snapshot, name: other, path: `/mnt/snapshots/${other}` },
  };
  writeFileSync(join(run.path, 'snapshot.json'), JSON.stringify(seal(file)));
  await assert.rejects(run.readSnapshot(), /snapshot\.json is of subvolume "home", not of "data"$/);
});

for (const [what, chunk] of [
  ['a negative size', { size: -1 }],
  ['a size that is no whole number', { size: 1.5 }],
  ['a size that is endless', { size: 1e308 }],
  ['no parts', { parts: [] }],
  ['a negative place', { index: -1 }],
  ['parts of nothing', { part_size: 0 }],
] as const) {
  test(`a chunks.json with ${what} is refused`, async () => {
    const file = { ...chunks, chunks: [{ ...chunks.chunks[0], ...chunk }] };
    writeFileSync(join(run.path, 'chunks.json'), JSON.stringify(seal(file)));
    await assertRefused(() => run.readChunks(), 'chunks.json', what);
  });
}
