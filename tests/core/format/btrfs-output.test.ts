import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  nestedAmong,
  parseBtrfsVersion,
  parseSubvolumeList,
  parseSubvolumeShow,
} from '../../../lib/core/format/btrfs-output.ts';
import { runs } from '../../support/fuzz.ts';

/** btrfs-progs 6.2. */
const show = `snap/data__2
	Name: 			data__2
	UUID: 			3a87e00f-d2f7-b845-9885-e84a4efc50bf
	Parent UUID: 		7e151820-3eb7-6c43-ad17-bee74f926f7b
	Received UUID: 		-
	Creation time: 		2026-11-24 22:27:08 +0000
	Subvolume ID: 		259
	Generation: 		8
	Gen at creation: 	8
	Parent ID: 		5
	Top level ID: 		5
	Flags: 			readonly
	Send transid: 		0
	Send time: 		2026-11-24 22:27:08 +0000
	Receive transid: 	0
	Receive time: 		-
	Snapshot(s):
`;

/** The text with the value of one field replaced. */
function withField(name: string, value: string): string {
  const field = new RegExp(`^(\t${name}:[ \t]+).*$`, 'm');
  assert.match(show, field);
  return show.replace(field, `$1${value}`);
}

test('subvolume show of a read-only snapshot is read', () => {
  assert.deepEqual(parseSubvolumeShow(show), {
    topLevelPath: 'snap/data__2',
    uuid: '3a87e00f-d2f7-b845-9885-e84a4efc50bf',
    parentUuid: '7e151820-3eb7-6c43-ad17-bee74f926f7b',
    receivedUuid: undefined,
    id: 259,
    generation: 8,
    settledTransid: 8,
    sentTransid: undefined,
    receivedAt: undefined,
    readOnly: true,
    createdAt: new Date('2026-11-24T22:27:08Z'),
  });
});

for (const [text, expected] of [
  ['2026-11-24 22:27:08 +0530', '2026-11-24T16:57:08.000Z'],
  ['2026-11-24 22:27:08 -0800', '2026-11-25T06:27:08.000Z'],
  ['-', undefined],
  ['2026-13-24 22:27:08 +0000', undefined],
  ['yesterday', undefined],
] as const) {
  test(`a subvolume made at "${text}" was made at ${expected ?? 'a time that no one knows'}`, () => {
    const info = parseSubvolumeShow(withField('Creation time', text));
    assert.ok(info, 'it is understood');
    assert.equal(info.createdAt?.toISOString(), expected);
  });
}

test('subvolume show of a received snapshot names its received UUID', () => {
  const received = '11111111-2222-3333-4444-555555555555';
  const info = parseSubvolumeShow(withField('Received UUID', received));
  assert.equal(info?.receivedUuid, received);
  const whole = ['Received UUID', 'Send transid', 'Receive time'].reduce(
    (text, name, index) =>
      text.replace(
        new RegExp(`^(\t${name}:[ \t]+).*$`, 'm'),
        `$1${[received, '7', '2026-11-28 16:35:17 +0100'][index]}`,
      ),
    show,
  );
  const { sentTransid, receivedAt } = parseSubvolumeShow(whole) ?? {};
  assert.deepEqual([sentTransid, receivedAt], [7, new Date('2026-11-28T15:35:17Z')]);
  assert.equal(info?.uuid, '3a87e00f-d2f7-b845-9885-e84a4efc50bf');
});

/** btrfs-progs 6.2, of a filesystem that mkfs.btrfs 4.15 made. */
const oldTopLevel = `/
	Name: 			<FS_TREE>
	UUID: 			-
	Parent UUID: 		-
	Received UUID: 		-
	Creation time: 		2016-11-30 10:26:36 +0000
	Subvolume ID: 		5
	Generation: 		9
	Gen at creation: 	0
	Parent ID: 		0
	Top level ID: 		0
	Flags: 			-
	Send transid: 		0
	Send time: 		2016-11-30 10:26:36 +0000
	Receive transid: 	0
	Receive time: 		-
	Snapshot(s):
				s/one
`;

test('a top level without a UUID is understood, and the parent UUID does not stand in for one', () => {
  const { topLevelPath, uuid, parentUuid, id, readOnly } = parseSubvolumeShow(oldTopLevel) ?? {};
  assert.deepEqual([topLevelPath, uuid, parentUuid, id, readOnly], ['/', undefined, undefined, 5, false]);
  assert.ok(parseSubvolumeShow(withField('UUID', '-')), 'it has a parent');
  assert.equal(parseSubvolumeShow(withField('UUID', '-'))?.uuid, undefined);
});

test('a subvolume that was never a snapshot has no parent', () => {
  assert.equal(parseSubvolumeShow(withField('Parent UUID', ''))?.parentUuid, undefined);
  assert.equal(parseSubvolumeShow(withField('Parent UUID', '-'))?.parentUuid, undefined);
});

for (const [flags, readOnly] of [
  ['-', false],
  ['', false],
  ['readonly', true],
  ['readonly, other', true],
  ['other readonly', true],
  ['not-readonly', false],
] as const) {
  test(`flags "${flags}" mean ${readOnly ? 'read-only' : 'writable'}`, () => {
    assert.equal(parseSubvolumeShow(withField('Flags', flags))?.readOnly, readOnly);
  });
}

for (const name of ['UUID', 'Subvolume ID', 'Generation']) {
  test(`subvolume show without ${name} is not understood`, () => {
    assert.equal(parseSubvolumeShow(show.replace(new RegExp(`^\t${name}:.*\n`, 'm'), '')), undefined);
  });
}

/** What of a subvolume does not depend on how its name is printed. */
function withoutPath(text: string) {
  const { topLevelPath: _, ...info } = parseSubvolumeShow(text) ?? assert.fail('it is not understood');
  return info;
}

test('a name that pretends to be a field changes nothing, and one that pretends to be all is not believed', () => {
  const field = '\tUUID: \t\t\t00000000-0000-0000-0000-000000000000\n\tFlags: \t\t\tnone';
  assert.deepEqual(withoutPath(`snap/x\n${field}\n${show}`), withoutPath(show));
  assert.deepEqual(withoutPath(`${show}\t\t\t\tx\n${field}\n`), withoutPath(show));
  assert.equal(parseSubvolumeShow(`${show}${show}`), undefined);
});

test('a name with a line break is no reason not to understand the rest', () => {
  assert.deepEqual(withoutPath(show.replaceAll('data__2', 'line\nbreak')), withoutPath(show));
});

test('no output makes the readers throw, and what they give is of the right kind', () => {
  const words = [
    '\n',
    '\t',
    ' ',
    'UUID:',
    'Flags:',
    'Generation:',
    'Subvolume ID:',
    '-',
    '7',
    'v6.2',
    'path',
    'ID',
  ];
  const anything = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom(...words) }));
  fc.assert(
    fc.property(anything, (text) => {
      const info = parseSubvolumeShow(text);
      assert.ok(info?.uuid === undefined || info.uuid.length > 0, 'a UUID');
      assert.ok(
        parseSubvolumeList(text).every(({ path }) => path.length > 0),
        'paths',
      );
      assert.ok(parseBtrfsVersion(text)?.every((number) => number >= 0) ?? true, 'a version');
    }),
    runs(1000),
  );
});

test('an error message is no subvolume', () => {
  assert.equal(parseSubvolumeShow('ERROR: Not a Btrfs subvolume: Invalid argument\n'), undefined);
  assert.equal(parseSubvolumeShow(''), undefined);
});

const listed = [
  'ID 256 gen 9 cgen 6 top level 5 parent_uuid -                                    uuid 1be8-a path data',
  'ID 257 gen 7 cgen 6 top level 256 parent_uuid 1be8-a uuid 1be8-b path data/nested',
  'ID 260 gen 9 cgen 6 top level 261 parent_uuid - uuid 1be8-c path data/my photos /in it',
  'ID 261 gen 9 cgen 6 top level 256 parent_uuid - uuid 1be8-d path data/my photos ',
  'ID 262 gen 9 cgen 6 top level 5 parent_uuid - uuid 1be8-e path <FS_TREE>/database',
].join('\n');

test('subvolume list gives UUIDs and paths, blanks in them included', () => {
  const paths = parseSubvolumeList(`${listed}\n`).map(({ uuid, path }) => [uuid, path]);
  assert.deepEqual(paths[1], ['1be8-b', 'data/nested']);
  assert.deepEqual(paths[3], ['1be8-d', 'data/my photos ']);
  assert.deepEqual(paths[4], ['1be8-e', 'database']);
});

test('nested subvolumes are those in a subvolume, and those in them, with paths below it', () => {
  const all = parseSubvolumeList(listed);
  const nested = nestedAmong(all, { id: 256, topLevelPath: 'data' });
  assert.deepEqual(
    nested.map(({ path, uuid, parentUuid }) => ({ path, uuid, parentUuid })),
    [
      { path: 'nested', uuid: '1be8-b', parentUuid: '1be8-a' },
      { path: 'my photos /in it', uuid: '1be8-c', parentUuid: undefined },
      { path: 'my photos ', uuid: '1be8-d', parentUuid: undefined },
    ],
  );
  assert.deepEqual(
    nested.map(({ containerId }) => containerId),
    [256, 261, 256],
  );
  assert.equal(nestedAmong(all, { id: 5, topLevelPath: '/' }).length, 5);
  assert.deepEqual(nestedAmong(all, { id: 257, topLevelPath: 'data/nested' }), []);
});

test('a subvolume without a UUID is listed, and of none', () => {
  const old = `ID 258 gen 9 cgen 9 top level 5 parent_uuid -${' '.repeat(36)}uuid -${' '.repeat(36)}path old`;
  const [found] = parseSubvolumeList(old);
  assert.deepEqual([found?.path, found?.uuid, found?.parentUuid], ['old', undefined, undefined]);
});

test('subvolume list of none, and lines of another kind, give no paths', () => {
  assert.deepEqual(parseSubvolumeList(''), []);
  assert.deepEqual(parseSubvolumeList('WARNING: something\nID x gen 7 top level 256 path data\n'), []);
});

for (const [text, version] of [
  ['btrfs-progs v6.2', [6, 2]],
  ['btrfs-progs v5.10.1 \n', [5, 10]],
  ['btrfs-progs v6.14\n-EXPERIMENTAL +ZSTD', [6, 14]],
  ['btrfs-progs', undefined],
  ['', undefined],
] as const) {
  test(`the version in ${JSON.stringify(text)} is ${version?.join('.') ?? 'unknown'}`, () => {
    assert.deepEqual(parseBtrfsVersion(text), version);
  });
}
