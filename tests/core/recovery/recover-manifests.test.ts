/** What recover.sh makes of manifests that an attacker may have written: who can write to the bucket must not run anything here. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import {
  bucketWith,
  type Document,
  endOf,
  first,
  keyOf,
  manifestOf,
  root,
  second,
  sha,
  template,
  uuidOf,
} from '../../support/recover-bucket.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('recover-manifests');

/** A change to a manifest: puts a value at a place, such as `chunks.1.size`. */
function set(path: string, value: unknown): (manifest: Document) => void {
  const names = path.split('.');
  const last = names.pop() ?? '';
  return (manifest) => {
    names.reduce((at, name) => at[name], manifest)[last] = value;
  };
}

const chunk = manifestOf('incremental').chunks[1];

/** What may be wrong with a manifest, and what is said of it. */
const wrongs: readonly (readonly [why: string, ...changes: ((manifest: Document) => unknown)[]])[] = [
  ['it is not a manifest', () => 7, () => []],
  ['it is of version 2, which this script cannot read', set('version', 2)],
  [
    'it has a codec that this script cannot read: {"compress":"xz","encrypt":"none"}',
    set('codec.compress', 'xz'),
  ],
  [
    'it has a codec that this script cannot read: {"compress":"none","encrypt":"none","erasure":"rs"}',
    set('codec.erasure', 'rs'),
  ],
  ['it is of another backup than its key', set('subvolume', 'home'), set('created_at', first)],
  ['its kind does not fit its parent', set('parent_manifest', null)],
  ['its parent is no key', set('parent_manifest', [1]), set('parent_manifest', `${keyOf.full}\u001b[31m`)],
  ['it has no chunks', set('chunks', []), set('chunks', { a: 1 })],
  [
    'a chunk is not of this subvolume',
    set('chunks.1.key', '../../etc/passwd'),
    set('chunks.1.key', chunk.key.replace('data', 'home')),
    set('chunks.1.key', `${chunk.key}\n`),
    set('chunks.1.key', 7),
    set('chunks.1.key', `${root}/incremental/../../x/chunk-${second}-0.bin`),
  ],
  ['a chunk is there twice', set('chunks.1', manifestOf('incremental').chunks[0])],
  [
    'it has a chunk with a size that cannot be',
    set('chunks.1.size', 'a[$(touch /tmp/pwned)]'),
    set('chunks.1.size', 0.5),
    set('chunks.1.size', -1),
    set('chunks.1.size', 1e300),
  ],
  [
    'it has a chunk with the SHA-256 of a part that cannot be',
    set('chunks.1.parts.1', `${'A'.repeat(42)}!=`),
    set('chunks.1.parts', 'x'),
  ],
  ['it has a chunk with a SHA-256 that cannot be', set('chunks.1', { key: chunk.key, size: 2500 })],
  ['it has a chunk with a part size that cannot be', set('chunks.1.part_size', 0)],
  [
    'it has a chunk with the number of parts that cannot be',
    (m) => void m.chunks[1].parts.pop(),
    (m) => void m.chunks[1].parts.push(sha),
  ],
  [
    'its frames do not fit its codec',
    (m) => void Object.assign(m.chunks[1], { parts: [sha], frames: [{ size: 2500, plain_size: 5000 }] }),
    set('codec.compress', 'zstd'),
  ],
  [
    'its sealed digests are missing',
    (m) => {
      m.codec.encrypt = 'age';
      const frames = [{ size: 2500, plain_size: 2000 }];
      for (const chunk of m.chunks) Object.assign(chunk, { parts: [sha], frames });
    },
  ],
  ['its chunks do not add up', set('total_bytes', 4999)],
  ['its snapshot has no UUIDs', set('snapshot.uuid', '../x'), set('snapshot', null)],
  ['its time is none', set('snapshot.mtime', '--help')],
  ['a state of its snapshot is none', set('snapshot.transid', '1')],
  ['its stream is none', set('stream.protocol', 'x[$(reboot)]'), set('stream.sha256', 'x')],
];

test('a manifest that cannot be is refused, for whatever is wrong with it', () => {
  const [, program = ''] = /^manifest_program='([^']+)'$/m.exec(template) ?? [];
  const sound = manifestOf('incremental');
  const cases = [
    ...wrongs.flatMap(([why, ...changes]) => changes.map((change) => ({ why: `bad\t${why}`, change }))),
    { why: `${uuidOf(2)}\t`, change: () => undefined },
  ];
  const documents = cases.map(({ change }) => {
    const manifest = structuredClone(sound);
    return JSON.stringify(change(manifest) ?? manifest);
  });
  const words = [
    'what=facts',
    `root=fleet/host-1/subvol/`,
    'subvolume=data',
    'kind=incremental',
    `time=${second}`,
  ];
  const args = words.flatMap((word) => ['--arg', ...word.split('=')]);
  const { stdout, stderr } = spawnSync('jq', ['-r', ...args, '--argjson', 'piece', '1000', program], {
    input: documents.join('\n'),
    encoding: 'utf8',
  });
  assert.equal(stderr, '');
  const lines = stdout.trimEnd().split('\n');
  assert.equal(lines.length, cases.length);
  for (const [index, { why }] of cases.entries()) {
    const said = lines[index] ?? '';
    assert.ok(why.endsWith('\t') ? said.startsWith(why) : said === why, `${said}, not ${why}`);
  }
});

test('a chain that cannot be is damage, before a chunk is looked at', async () => {
  const elsewhere = keyOf.full.replace('/data/', '/home/');
  const verdict = `manifest ${keyOf.incremental} cannot be used`;
  const cases: readonly (readonly [change: (manifest: Document) => unknown, line: string])[] = [
    [set('version', 2), `${verdict}: it is of version 2, which this script cannot read`],
    [set('chunks', [7]), `${verdict}: it is not a manifest`],
    [
      (m) => (m.snapshot.parent_uuid = uuidOf(7)),
      `${keyOf.incremental} builds on another snapshot than that of ${keyOf.full}`,
    ],
    [
      (m) => (m.snapshot.parent_transid = 11),
      `${keyOf.incremental} builds on another state than that of ${keyOf.full}`,
    ],
    [
      (m) => (m.parent_manifest = elsewhere),
      `${keyOf.incremental} builds on ${elsewhere}, which is not a backup of this subvolume`,
    ],
    [set('parent_manifest', keyOf.incremental), `${keyOf.incremental} builds on itself`],
  ];
  for (const [change, line] of cases) {
    const { bucket, host } = await bucketWith(directory, change);
    assert.deepEqual(await endOf(host, 'thaw', 'data'), [4, `recover.sh: ${line}`]);
    assert.deepEqual(
      bucket.calls().filter((call) => /chunk|restore-object/.test(call)),
      [],
    );
  }
  const { bucket, host } = await bucketWith(directory);
  bucket.remove(keyOf.full);
  const line = `recover.sh: manifest ${keyOf.full} is not in the bucket`;
  assert.deepEqual(await endOf(host, 'thaw', 'data'), [4, line]);
});
