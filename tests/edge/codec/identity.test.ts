import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ToolError } from '../../../lib/core/errors.ts';
import { checkIdentityFile, openSealed, sealText, WrongIdentity } from '../../../lib/edge/codec/identity.ts';
import { makeIdentity, makeSshKey } from '../../support/age-keys.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('identity');
const path = (name: string) => join(directory, name);
const { recipient: mine } = await makeIdentity(directory, 'mine');
await makeIdentity(directory, 'other');
const ed25519 = await makeSshKey(directory, 'ed25519', 'ed25519');
const rsa = await makeSshKey(directory, 'rsa', 'rsa');

test('what is sealed opens for each recipient, and for no one else', async () => {
  const sealed = await sealText([mine, ed25519, rsa], 'a text');
  for (const name of ['mine', 'ed25519', 'rsa']) {
    assert.equal(await openSealed(path(name), sealed, 'it'), 'a text');
  }
  await assert.rejects(openSealed(path('other'), sealed, 'the backup of x'), (error: ToolError) => {
    assert.ok(error instanceof WrongIdentity);
    assert.equal(error.kind, 'usage');
    assert.match(error.message, /^the identity file .*other of DECRYPT_WITH does not open the backup of x$/);
    return true;
  });
});

test('what is not a whole file of age is damage', async () => {
  const sealed = await sealText([mine], 'a text');
  const flipped = Buffer.from(sealed);
  flipped.writeUInt8(flipped.readUInt8(flipped.length - 1) ^ 1, flipped.length - 1);
  for (const bytes of [
    flipped,
    sealed.subarray(0, -1),
    sealed.subarray(0, 30),
    Buffer.from('junk'),
    Buffer.alloc(0),
  ])
    await assert.rejects(openSealed(path('mine'), bytes, 'it'), {
      kind: 'damage',
      message: /^it is damaged: age cannot open it: /,
    });
});

test('an identity that cannot be used is a wrong setting, and nothing of it is repeated', async () => {
  const sealed = await sealText([mine], 'a text');
  const locked = await makeSshKey(directory, 'locked', 'ed25519', 'passphrase');
  const forLocked = await sealText([locked], 'a text');
  writeFileSync(path('junk'), 'secret junk\n', { mode: 0o600 });
  writeFileSync(path('none'), '', { mode: 0o600 });
  for (const [name, bytes, says] of [
    ['junk', sealed, /junk of DECRYPT_WITH cannot be used: reading .*unknown identity type/],
    ['none', sealed, /none of DECRYPT_WITH cannot be used: reading .*no secret keys found/],
    ['gone', sealed, /gone of DECRYPT_WITH cannot be used: .*no such file/],
    ['locked', forLocked, /locked of DECRYPT_WITH is protected by a passphrase/],
  ] as const) {
    await assert.rejects(openSealed(path(name), bytes, 'it'), (error: ToolError) => {
      assert.equal(error.kind, 'usage', error.message);
      assert.match(error.message, says);
      assert.doesNotMatch(`${error.message} ${error.hint}`, /secret junk/);
      return true;
    });
  }
});

test('an identity file that is missing, no file, or for others to read is refused before age reads it', async () => {
  await checkIdentityFile(path('mine'));
  mkdirSync(path('folder'));
  for (const mode of [0o640, 0o604, 0o620, 0o777]) {
    chmodSync(path('mine'), mode);
    await assert.rejects(checkIdentityFile(path('mine')), {
      kind: 'usage',
      message: new RegExp(`can be read by others \\(mode ${mode.toString(8)}\\)`),
      hint: `run: chmod 600 ${path('mine')}`,
    });
  }
  chmodSync(path('mine'), 0o600);
  await assert.rejects(checkIdentityFile(path('gone')), { kind: 'usage', message: /does not exist/ });
  await assert.rejects(checkIdentityFile(path('folder')), {
    kind: 'usage',
    message: /is not a regular file/,
  });
});
