import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ToolError } from '../../../lib/core/errors.ts';
import { checkRecipients, readRecipients } from '../../../lib/edge/codec/recipients.ts';
import { makeIdentity, makeSshKey } from '../../support/age-keys.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('recipients');
const path = (name: string) => join(directory, name);
const { recipient: mine } = await makeIdentity(directory, 'mine');
const { recipient: other } = await makeIdentity(directory, 'other');
const ed25519 = await makeSshKey(directory, 'ed25519', 'ed25519');
const rsa = await makeSshKey(directory, 'rsa', 'rsa');

test('the same keys are the same recipients, wherever they stand and in whatever order', async () => {
  writeFileSync(path('list'), `# two\n${other}\n${ed25519} me@home\n`);
  const expected = [mine, other, ed25519].sort();
  assert.deepEqual(await readRecipients([{ key: mine }, { file: path('list') }]), expected);
  assert.deepEqual(
    await readRecipients([{ key: ed25519 }, { key: other }, { key: mine }, { key: other }]),
    expected,
  );
  assert.deepEqual(await readRecipients([]), []);
});

for (const [index, [what, text, says]] of (
  [
    ['is missing', undefined, /cannot read the recipients file .*list-0 of ENCRYPT_TO: it does not exist/],
    ['is empty', '\n', /list-1 of ENCRYPT_TO cannot be used: there is no recipient in it/],
    [
      'holds a key that age passes over',
      'ecdsa-sha2-nistp256 AAAA\n',
      /line 1 is an SSH key of the type ecdsa/,
    ],
    ['is too large', `${'#'.repeat(2 ** 20)}\n`, /has more than 1048576 bytes/],
  ] as const
).entries()) {
  test(`a recipients file that ${what} is a wrong setting`, async () => {
    const file = path(`list-${index}`);
    if (text !== undefined) writeFileSync(file, text);
    await assert.rejects(readRecipients([{ file }]), (error: ToolError) => {
      assert.equal(error.kind, 'usage');
      assert.match(error.message, says);
      return true;
    });
  });
}

test('a directory is no recipients file', async () => {
  await assert.rejects(readRecipients([{ file: directory }]), { kind: 'usage' });
});

test('recipients are checked by having age encrypt nothing to them', async () => {
  await checkRecipients([mine, ed25519, rsa]);
  for (const [key, says] of [
    [
      `${mine.slice(0, -1)}${mine.endsWith('q') ? 'p' : 'q'}`,
      /does not encrypt to age1.*: malformed recipient .*checksum/,
    ],
    ['ssh-ed25519 AAAA', /does not encrypt to ssh-ed25519 AAAA: malformed SSH recipient/],
  ] as const) {
    await assert.rejects(checkRecipients([mine, key]), (error: ToolError) => {
      assert.equal(error.kind, 'usage');
      assert.match(error.message, says);
      return true;
    });
  }
});
