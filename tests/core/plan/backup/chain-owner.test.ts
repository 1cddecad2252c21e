import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  isCommonHostName,
  type OwnershipEvidence,
  strangerTo,
} from '../../../../lib/core/plan/backup/chain-owner.ts';

const host = { hostName: 'nas', hostId: 'id-1', filesystemUuid: 'fs-1' };
const mine: OwnershipEvidence = {
  last: { ...host, manifestKey: 'last' },
  here: host,
  hasSnapshot: false,
  published: undefined,
};
const other = { hostName: 'pi', hostId: 'id-2', filesystemUuid: 'fs-2' };
const unknown = { hostId: undefined, filesystemUuid: undefined };

for (const [situation, change] of [
  ['all is the same, and the snapshot is gone', {}],
  ['its snapshot is here, whatever else', { here: other, hasSnapshot: true, published: 'another' }],
  ['RUN_DIR remembers it, whatever else', { here: other, published: 'last' }],
  [
    'the host was renamed, and RUN_DIR remembers it',
    { here: { ...host, hostName: 'fedora' }, published: 'last' },
  ],
  ['the manifest names no machine, and the host has the same name', { last: { ...mine.last, ...unknown } }],
  ['the manifest names nobody', { last: { manifestKey: 'last', hostName: undefined, ...unknown } }],
  ['this machine has no identity', { here: { ...host, hostId: undefined } }],
] as const) {
  test(`a chain is of this host when ${situation}`, () => {
    assert.equal(strangerTo({ ...mine, ...change }), undefined);
  });
}

for (const [situation, change, reason] of [
  ['it is another machine', { here: other }, /is of host nas, and this one is pi/],
  [
    'a clone with its machine-id has another name',
    { here: { ...host, hostName: 'web2' } },
    /is of host nas.*web2/,
  ],
  [
    'it is another machine of that name',
    { here: { ...other, hostName: 'nas' } },
    /another machine that is called nas/,
  ],
  [
    'the filesystem is another',
    { here: { ...host, filesystemUuid: 'fs-2' } },
    /filesystem fs-1.*nas.*filesystem fs-2/,
  ],
  [
    'an older manifest is of another name',
    { last: { ...mine.last, ...unknown }, here: other },
    /is of host nas.*pi/,
  ],
  ['a clone of this machine has published', { published: 'before' }, /which published before last: a clone/],
] as const) {
  test(`a chain is of another host when ${situation}`, () => {
    assert.match(strangerTo({ ...mine, ...change }) ?? 'it is of this one', reason);
  });
}

test('names that many machines have are no prefix; those of one host are', () => {
  for (const name of [
    'localhost',
    'localhost.localdomain',
    'localhost4',
    '(none)',
    'fedora',
    'RaspberryPi',
    'debian',
  ]) {
    assert.ok(isCommonHostName(name), name);
  }
  for (const name of ['nas', 'fedora-nas', 'debian.example.net', 'my-server', 'pi4', 'host-1']) {
    assert.ok(!isCommonHostName(name), name);
  }
});
