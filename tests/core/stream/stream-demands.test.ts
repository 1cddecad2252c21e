/** What a stream demands of where it is received, command by command. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ATTRIBUTES, buildCommand, COMMANDS } from '../../../lib/core/stream/commands.ts';
import { StreamInspector } from '../../../lib/core/stream/stream-inspector.ts';
import { firstCommand, header, makeFile, symlink } from '../../../testing/harness/send-streams.ts';

const text = new TextEncoder();
const uuid = '3a87e00f-d2f7-b845-9885-000000000001';

const attribute = (name: string, length: number) =>
  buildCommand(COMMANDS.setXattr, [
    { type: ATTRIBUTES.path, bytes: text.encode('a') },
    { type: ATTRIBUTES.xattrName, bytes: text.encode(name) },
    { type: ATTRIBUTES.xattrData, bytes: new Uint8Array(length) },
  ]);

function demandsOf(...commands: readonly Uint8Array[]) {
  const inspector = new StreamInspector();
  for (const piece of [header(), firstCommand('s', uuid, 7), ...commands]) inspector.push(piece);
  return inspector.demands.result;
}

test('a stream of files alone demands nothing', () => {
  assert.deepEqual(demandsOf(makeFile('o257-7-0')), { least_node_size: 0, features: [] });
});

test('the largest attribute or link decides which nodes hold it; 4096 bytes hold just these (measured with kernel 6.18)', () => {
  assert.equal(demandsOf(attribute('user.x', 3934), attribute('user.y', 10)).least_node_size, 4096);
  assert.equal(demandsOf(symlink('o257-7-0', 'y'.repeat(3949))).least_node_size, 4096);
  assert.equal(demandsOf(symlink('o257-7-0', 'y'), attribute('user.x', 3935)).least_node_size, 4097);
});

test('ACLs and the compression property are named, once', () => {
  const { features } = demandsOf(
    attribute('system.posix_acl_default', 4),
    attribute('btrfs.compression', 4),
    attribute('system.posix_acl_access', 4),
    attribute('user.acl', 4),
  );
  assert.deepEqual(features, ['acl', 'compression']);
});
