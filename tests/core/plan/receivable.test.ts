/** What can be known of a receiving host before the first byte. The same is tried on real mounts in end-to-end/receivable. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Manifest } from '../../../lib/core/format/manifest.ts';
import {
  doubtsOfReceiving,
  obstacleToReceiving,
  progsObstacle,
  type Receiver,
} from '../../../lib/core/plan/receivable.ts';
import { manifestOfDay } from '../samples.ts';

function backup(day: number, stream: Partial<NonNullable<Manifest['stream']>>): Manifest {
  const manifest = manifestOfDay(day);
  assert.ok(manifest.stream);
  return { ...manifest, stream: { ...manifest.stream, protocol: 1, ...stream } };
}

const receiver: Receiver = {
  progsVersion: [6, 2],
  mountPoint: '/mnt',
  mountOptions: ['rw', 'relatime'],
  nodeSize: 16_384,
};
const plain = { features: [], least_node_size: 0 };

for (const [what, streams, host, problem] of [
  ['nothing to demand', [plain, plain], {}, undefined],
  [
    'protocol 2 and an old btrfs-progs',
    [{ ...plain, protocol: 2 }, plain],
    { progsVersion: [5, 16] },
    /btrfs-progs 6\.2 .* here is 5\.16$/,
  ],
  ['protocol 2 and the first that receives it', [{ ...plain, protocol: 2 }], {}, undefined],
  [
    'protocol 2 and a version that is not known',
    [{ ...plain, protocol: 2 }],
    { progsVersion: undefined },
    undefined,
  ],
  ['protocol 1 and an old btrfs-progs', [plain], { progsVersion: [5, 10] }, undefined],
  [
    'an older backup of the chain that demands',
    [{ ...plain, features: ['compression'] }, plain],
    { mountOptions: ['rw', 'nodatasum'] },
    /compression property .* mounted with nodatasum$/,
  ],
  [
    'an ACL and noacl',
    [{ ...plain, features: ['acl'] }],
    { mountOptions: ['noacl'] },
    /an ACL .* mounted with noacl$/,
  ],
  ['an ACL and nodatacow', [{ ...plain, features: ['acl'] }], { mountOptions: ['nodatacow'] }, undefined],
  [
    'a feature that is not known',
    [{ ...plain, features: ['new'] }],
    { mountOptions: ['noacl', 'nodatacow'] },
    undefined,
  ],
  ['something that just fits', [{ ...plain, least_node_size: 16_384 }], {}, undefined],
  [
    'something too large',
    [plain, { ...plain, least_node_size: 16_385 }],
    {},
    /nodes of 16385 bytes, and those of \/mnt have 16384$/,
  ],
  [
    'a size of nodes that is not known',
    [{ ...plain, least_node_size: 16_385 }],
    { nodeSize: undefined },
    undefined,
  ],
] as const satisfies readonly (readonly [
  string,
  readonly Partial<NonNullable<Manifest['stream']>>[],
  Partial<Receiver>,
  RegExp | undefined,
])[]) {
  test(`a chain and a host: ${what}`, () => {
    const manifests = streams.map((stream, index) => backup(index + 1, stream));
    const obstacle = obstacleToReceiving(manifests, { ...receiver, ...host });
    if (problem) assert.match(obstacle?.problem ?? '', problem);
    else assert.equal(obstacle, undefined);
    assert.deepEqual(doubtsOfReceiving(manifests, { ...receiver, ...host }), [], 'all of it is recorded');
  });
}

test('manifests that do not record what they demand leave doubts, where something may be lacking', () => {
  const old = [backup(1, plain), backup(2, {})];
  assert.deepEqual(doubtsOfReceiving(old, receiver), []);
  const poor = { ...receiver, mountOptions: ['nodatacow', 'noacl'], nodeSize: 4096 };
  assert.deepEqual(doubtsOfReceiving(old, poor), [
    '/mnt is mounted with nodatacow, where a compression property cannot be set',
    '/mnt is mounted with noacl, where an ACL cannot be set',
    '/mnt has metadata nodes of 4096 bytes, which large extended attributes do not fit',
  ]);
  assert.equal(obstacleToReceiving(old, poor), undefined);
});

test('manifests without anything of their streams, as of the Python tool, ask nothing of btrfs-progs', () => {
  const { stream: _, ...without } = manifestOfDay(1);
  assert.equal(progsObstacle([without], [5, 10]), undefined);
});
