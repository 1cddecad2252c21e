import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { DeleteObjectsCommand } from '@aws-sdk/client-s3';
import pMap from 'p-map';
import type { Manifest } from '../../lib/core/format/manifest.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import {
  createWorld,
  errorLines,
  namesIn,
  readObject,
  type ScriptResult,
  type World,
  writeObject,
} from '../end-to-end/world.ts';

const root = 'fleet/host-1/subvol/data';
const pointerKey = `${root}/current.json`;

/** Fails unless a script ended with this exit code, said at most one line about a failure, and nothing a terminal obeys. */
function assertClear(result: ScriptResult, exitCode: number, what: string): void {
  assert.equal(result.exitCode, exitCode, `${what}: ${result.stderr}`);
  assert.ok(errorLines(result).length <= 1, `${what}: ${result.stderr}`);
  const said = result.stdout + result.stderr;
  assert.doesNotMatch(said, /this is a defect|\n\s+at /, what);
  assert.doesNotMatch(said.replaceAll('\n', ''), /\p{Cc}/u, what);
  assert.ok(said.length < 100_000, `${what}: ${said.length} characters`);
}

/** A world with a full backup and two incremental ones that both build on it: a fork, as when a pointer was lost. */
async function forkedWorld(t: Parameters<typeof createWorld>[0]) {
  const world = await createWorld(t);
  await writeFile(join(world.data, 'file'), 'in the full');
  const full = await world.backup();
  const pointer = await readObject(world, pointerKey);
  await writeFile(join(world.data, 'file'), 'in the first');
  const first = await world.backup();
  await writeObject(world, pointerKey, pointer);
  await writeFile(join(world.data, 'file'), 'in the second');
  const second = await world.backup();
  return { world, full, first, second };
}

async function restore(world: World, name: string, ...args: readonly string[]): Promise<ScriptResult> {
  return world.run('restore.ts', '--subvolume', 'data', '--target', join(world.mount, name), ...args);
}

test('whatever stands in the bucket, each of its problems is one clear line, and what is sound is restored', async (t) => {
  const { world, full, first, second } = await forkedWorld(t);
  const names = await namesIn(world.mount);

  await t.test('of two backups that build on the same one, both are restored', async () => {
    assert.equal(first.manifest.parent_manifest, full.key);
    assert.equal(second.manifest.parent_manifest, full.key);
    assertClear(await world.run('verify.ts'), 0, 'verify');
    for (const [name, key, content] of [
      ['restored-first', first.key, 'in the first'],
      ['restored-second', second.key, 'in the second'],
    ] as const) {
      assertClear(await restore(world, name, '--manifest', key), 0, name);
      assert.equal((await shell`cat ${join(world.mount, name, 'file')}`).stdout, content);
      await shell`btrfs subvolume delete ${join(world.mount, name)}`;
    }
  });

  /** The full backup as a manifest of another time, with changes. */
  const variant = (stamp: string, changes: object): Manifest => ({
    ...full.manifest,
    created_at: stamp,
    ...changes,
  });
  const chunk = full.manifest.chunks[0];
  assert.ok(chunk, 'a chunk');
  const withChunk = (changes: object) => ({ chunks: [{ ...chunk, ...changes }] });
  const snapshotNamed = (name: string) => ({ snapshot: { ...full.manifest.snapshot, name } });
  const incrementalOn = (parent: string) => ({ kind: 'incremental', parent_manifest: parent });
  const incrementalKey = (stamp: string) => `${root}/incremental/manifest-${stamp}.json`;
  const hostile: readonly (readonly [
    what: string,
    make: (stamp: string) => string | object,
    says: RegExp,
  ])[] = [
    ['empty', () => '', /it is not JSON/],
    ['not JSON', () => '<html>\u001b[2J', /it is not JSON/],
    ['very deep', () => '['.repeat(500_000), /it is not JSON/],
    ['very deep and whole', () => `${'['.repeat(500_000)}${']'.repeat(500_000)}`, /it: .*expected object/],
    ['NULs', () => '\0'.repeat(5000), /it is not JSON/],
    ['of version 2', (at) => variant(at, { version: 2 }), /of version 2, which btrfs-to-s3 \S+ cannot read/],
    [
      'a chunk elsewhere',
      (at) => variant(at, withChunk({ key: 'other/chunk.bin' })),
      /other\/chunk\.bin, which is not/,
    ],
    [
      'a chunk above',
      (at) => variant(at, withChunk({ key: `${root}/../x.bin` })),
      /\.\.\/x\.bin, which is not a chunk/,
    ],
    [
      'a chunk of another subvolume',
      (at) => variant(at, withChunk({ key: chunk.key.replace('/data/', '/home/') })),
      /subvol\/home\/.*, which is not a chunk/,
    ],
    ['a size without end', (at) => variant(at, withChunk({ size: 1e308 })), /chunks\.0\.size: /],
    ['a negative size', (at) => variant(at, withChunk({ size: -1 })), /chunks\.0\.size: /],
    ['a part of 6 GiB', (at) => variant(at, withChunk({ part_size: 6 * 2 ** 30 })), /chunks\.0\.part_size: /],
    ['a wrong sum', (at) => variant(at, { total_bytes: 1 }), /add up to .* but total_bytes is 1/],
    ['a name of two lines', (at) => variant(at, snapshotNamed('a\nb')), /is not a snapshot name/],
    ['a name that leads away', (at) => variant(at, snapshotNamed('../x')), /is not a snapshot name/],
    [
      'an ETag for terminals',
      (at) => variant(at, withChunk({ etag: '\u001b[31m' })),
      /contains a control character/,
    ],
    ['a half character', (at) => variant(at, withChunk({ key: `${root}/\ud800` })), /which is not a chunk/],
    ['another time', () => variant('20190101T000000Z', {}), /but its key says/],
    [
      'its key twice',
      (at) =>
        JSON.stringify(variant(at, {})).replace('{', '{"version":1,').replace(/}$/, ',"total_bytes":7}'),
      /total_bytes is 7/,
    ],
    [
      'a polluted object',
      (at) => JSON.stringify(variant(at, {})).replace('{', '{"__proto__":{"version":1},"kind":"x",'),
      /^$/,
    ],
  ];
  const stampOf = (index: number) => `202001${String(index + 1).padStart(2, '0')}T000000Z`;

  await t.test(
    'of hostile manifests, each is one line of list and verify, and the reason why it is not restored',
    async () => {
      for (const [index, [, make]] of hostile.entries()) {
        const made = make(stampOf(index));
        const text = typeof made === 'string' ? made : JSON.stringify(made);
        await writeObject(world, `${root}/full/manifest-${stampOf(index)}.json`, text);
      }
      // Links that fit no chain: a manifest on itself, two on each other, one on another subvolume's, one on nothing.
      const links = [
        ['20210101T000000Z', incrementalKey('20210101T000000Z'), /its own ancestor|it builds on/],
        ['20210102T000000Z', incrementalKey('20210103T000000Z'), /its own ancestor|it builds on/],
        ['20210103T000000Z', incrementalKey('20210102T000000Z'), /its own ancestor|it builds on/],
        ['20210104T000000Z', full.key.replace('/data/', '/home/'), /is not a manifest of this subvolume/],
        ['20210105T000000Z', `${root}/full/manifest-20100101T000000Z.json`, /missing/],
      ] as const;
      for (const [stamp, parent] of links) {
        await writeObject(
          world,
          incrementalKey(stamp),
          JSON.stringify(variant(stamp, incrementalOn(parent))),
        );
      }
      const expected = [
        ...hostile
          .map(
            ([what, , says], index) => [what, `${root}/full/manifest-${stampOf(index)}.json`, says] as const,
          )
          // What is harmless is a backup like any other.
          .filter(([, , says]) => says.source !== '^$'),
        ...links.map(([stamp, , says]) => [`link ${stamp}`, incrementalKey(stamp), says] as const),
      ];

      const verified = await world.run('verify.ts');
      assertClear(verified, 4, 'verify');
      const listed = await world.run('list.ts');
      assertClear(listed, 0, 'list');
      for (const [what, key, says] of expected) {
        const lines = verified.stdout.split('\n').filter((line) => line.startsWith(`${key}: `));
        assert.equal(lines.length, 1, `${what}: ${lines.join('\n')}`);
        assert.match(lines[0] ?? '', says, what);
        const rows = listed.stdout.split('\n').filter((line) => line.endsWith(` ${key}`));
        assert.equal(rows.length, 1, `${what}: ${rows.join('\n')}`);
      }
      assert.equal(
        verified.stdout.split('\n').filter((line) => line.includes('manifest-20')).length,
        expected.length,
      );

      await pMap(
        expected,
        async ([what, key, says]) => {
          const result = await restore(world, `hostile-${key.slice(-21, -5)}`, '--manifest', key);
          assertClear(result, 4, what);
          assert.equal(errorLines(result).length, 1, what);
          assert.match(
            errorLines(result)[0] ?? '',
            new RegExp(`${says.source}|is not in bucket|its own ancestor`),
            what,
          );
        },
        { concurrency: 3 },
      );
      assert.deepEqual(await namesIn(world.mount), names);
    },
  );

  await t.test('a hostile pointer is damage to readers, and no obstacle to the next backup', async () => {
    const sound = await readObject(world, pointerKey);
    const naming = (manifest_key: string, changes: object = {}) =>
      JSON.stringify({ ...JSON.parse(sound), manifest_key, ...changes });
    for (const [what, text, says] of [
      ['empty', '', /it is not JSON/],
      ['huge', `"${'x'.repeat(100_000)}"`, /has more than 65536 bytes/],
      ['outside the prefix', naming(second.key.replace('fleet', 'other')), /it names other\/host-1/],
      ['of another subvolume', naming(second.key.replace('/data/', '/home/')), /it names .*\/subvol\/home\//],
      [
        'of a time to come',
        naming(second.key, { created_at: '99991231T235959Z' }),
        /incremental backup of 9999/,
      ],
      [
        'of a backup that is not there',
        naming(`${root}/full/manifest-20000101T000000Z.json`, {
          kind: 'full',
          created_at: '20000101T000000Z',
        }),
        /missing|is not in bucket/,
      ],
    ] as const) {
      await writeObject(world, pointerKey, text);
      const [verified, planned, restored] = await Promise.all([
        world.run('verify.ts'),
        world.run('snapshot.ts', '--dry-run'),
        restore(world, 'by-pointer'),
      ]);
      assertClear(verified, 4, `verify, ${what}`);
      const lines = verified.stdout.split('\n').filter((line) => line.startsWith(`${pointerKey}: `));
      assert.equal(lines.length, 1, what);
      assert.match(lines[0] ?? '', says, what);
      assertClear(restored, 4, `restore, ${what}`);
      assert.match(errorLines(restored).join(), says, what);
      assertClear(planned, 0, `plan, ${what}`);
      assert.match(planned.stdout, /data: full: the last backup in the bucket is damaged or missing/, what);
      assert.match(planned.stderr, says, what);
    }
    const listed = await world.run('list.ts');
    assertClear(listed, 0, 'list');
    assert.doesNotMatch(listed.stdout, /^\*/m, 'no backup is the current one');
    await writeObject(world, pointerKey, sound);
    assert.deepEqual(await namesIn(world.mount), names);
  });

  await t.test('thousands of foreign objects under the prefix are passed over', async () => {
    const stray = `${root}/full/manifest-20000101T000000Z.json`;
    const odd = [
      '',
      '/',
      '//',
      '/..',
      '/../..',
      '/%2e%2e',
      '/a b',
      '/\u001b[2J',
      '/\n',
      '/\u0001',
      '/ü',
      '/🦀',
      '/<&>"\'',
    ];
    const foreign = [
      ...odd.flatMap((end) => [`${root}${end}x`, `fleet/host-1/subvol${end}x`, `${stray}${end}`]),
      `${root}/full/manifest-20000230T000000Z.json`,
      `${root}/full/MANIFEST-20000101T000000Z.json`,
      `${root}/current.json/x`,
      `fleet/host-1/subvol/\u001b[31m/current.json`,
      `fleet/host-1/subvol/../current.json`,
      `fleet/host-10/subvol/data/current.json`,
      ...Array.from({ length: 1050 }, (_, index) => `${root}/full/junk-${index}`),
    ].filter((key) => key !== stray);
    const before = await world.run('list.ts');
    await pMap(foreign, (key) => writeObject(world, key, 'foreign'), { concurrency: 16 });
    const listed = await world.run('list.ts');
    assertClear(listed, 0, 'list');
    assert.equal(listed.stdout, before.stdout);
    const verified = await world.run('verify.ts');
    assertClear(verified, 4, 'verify');
    assert.doesNotMatch(verified.stdout, /junk|foreign/);
    assertClear(await world.run('list.ts', '--subvolume', '..'), 2, 'list ..');
    assertClear(
      await world.run('verify.ts', '--subvolume', '\u001b[31m'),
      2,
      'verify of a name for terminals',
    );
    assertClear(await restore(world, 'nothing', '--manifest', '../x'), 2, 'restore of a key that is none');
    for (let at = 0; at < foreign.length; at += 1000) {
      const Objects = foreign.slice(at, at + 1000).map((Key) => ({ Key }));
      await world.client.send(new DeleteObjectsCommand({ Bucket: 'backups', Delete: { Objects } }));
    }
  });
});
