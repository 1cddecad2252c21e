import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ToolError } from '../../../lib/core/errors.ts';
import {
  checkSigners,
  checkSigningKey,
  isSignatureOf,
  signatureProblem,
  signText,
} from '../../../lib/edge/signature/ssh-signature.ts';
import { shell } from '../../../testing/harness/processes/shell.ts';
import { makeSshKey } from '../../support/age-keys.ts';
import { changeEnvironment } from '../../support/environment.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const directory = temporaryDirectory('ssh-signature');
const path = (name: string) => join(directory, name);
const mine = await makeSshKey(directory, 'mine', 'ed25519');
const other = await makeSshKey(directory, 'other', 'ed25519');
const rsa = await makeSshKey(directory, 'rsa', 'rsa');
const at = '20260101T020000Z';
const text = '{ "version": 1 }\n';

/** Writes an allowed_signers file. */
function signers(name: string, ...lines: readonly string[]): string {
  writeFileSync(path(name), `${lines.join('\n')}\n`);
  return path(name);
}

const both = signers('both', '# those who may', `nas ${mine}`, `laptop@*,desk ${rsa}`);

test('what an allowed signer has signed is sound, whatever the signer is called', async () => {
  for (const key of ['mine', 'rsa']) {
    const signature = await signText(path(key), text);
    assert.equal(await signatureProblem(both, { text, signature, at }), undefined);
    assert.equal(await isSignatureOf(text, signature, await signText(path(key), 'another')), true);
  }
  const signature = await signText(path('mine'), text);
  for (const line of [`* ${mine}`, `!x,* ${mine}`, `a,b namespaces="btrfs-to-s3" ${mine}`]) {
    assert.equal(await signatureProblem(signers('one', line), { text, signature, at }), undefined, line);
  }
});

test('anything else is not, and it is said why', async () => {
  const signature = await signText(path('mine'), text);
  const elsewhere = await shell`ssh-keygen -Y sign -n file -f ${path('mine')} < ${signers('text', 'x')}`;
  for (const [what, list, signed, says] of [
    [
      'other bytes',
      both,
      { text: `${text} `, signature },
      /^its signature is not of these bytes: .*incorrect signature/,
    ],
    [
      'another signer',
      both,
      { text, signature: await signText(path('other'), text) },
      /^no signer in .*both has signed it$/,
    ],
    ['another namespace', both, { text: 'x\n', signature: elsewhere.stdout }, /namespace does not match/],
    [
      'a namespace that is not allowed',
      signers('file', `nas namespaces="file" ${mine}`),
      { text, signature },
      /not of these bytes: .*not permitted/,
    ],
    ['no signature', both, { text, signature: 'junk' }, /^its signature is none$/],
    ['nothing', both, { text, signature: '' }, /^its signature is none$/],
  ] as const) {
    const problem = await signatureProblem(list, { ...signed, at });
    assert.match(problem ?? 'none', says, what);
  }
  assert.equal(await isSignatureOf(`${text}x`, signature, signature), false);
  assert.equal(await isSignatureOf(text, signature, await signText(path('other'), text)), false);
  assert.equal(await isSignatureOf(text, 'junk', 'junk'), false);
});

test('a key counts that was valid when it signed', async () => {
  const signature = await signText(path('mine'), text);
  const list = signers('valid', `nas valid-after="20260101",valid-before="20260201" ${mine}`);
  assert.equal(await signatureProblem(list, { text, signature, at: '20260115T000000Z' }), undefined);
  for (const moment of ['20251231T000000Z', '20260202T000000Z']) {
    const problem = await signatureProblem(list, { text, signature, at: moment });
    assert.match(problem ?? 'none', /no signer in .* has signed it \(.*key (is not yet valid|has expired)/);
  }
});

test('a key that cannot sign, or belongs to no signer that a restore would trust, is a wrong setting', async () => {
  await checkSigningKey(path('mine'), '');
  await checkSigningKey(path('mine'), both);
  await makeSshKey(directory, 'locked', 'ed25519', 'passphrase');
  copyFileSync(path('mine'), path('open'));
  chmodSync(path('open'), 0o644);
  writeFileSync(path('junk'), 'secret junk\n', { mode: 0o600 });
  for (const [key, list, says] of [
    [path('locked'), '', /^SIGN_WITH: ssh-keygen cannot sign with .*locked: .*incorrect passphrase/],
    [path('open'), '', /cannot sign with .*open: Permissions 0644 for .* are too open/],
    [path('gone'), '', /cannot sign with .*gone: .*No such file/],
    [path('junk'), '', /cannot sign with .*junk: /],
    [path('other'), both, /^SIGN_WITH=.*other is not the key of a signer that VERIFY_SIGNERS=.*both allows$/],
    [path('mine'), path('gone'), /^cannot read the file .*gone of VERIFY_SIGNERS: it does not exist$/],
  ] as const) {
    await assert.rejects(checkSigningKey(key, list), (error: ToolError) => {
      assert.equal(error.kind, 'usage', error.message);
      assert.match(error.message, says);
      assert.doesNotMatch(`${error.message} ${error.hint}`, /secret junk/);
      return true;
    });
  }
});

test('a file without a signer is a wrong setting', async () => {
  await checkSigners(both);
  for (const lines of [[], ['# nas', `#nas ${other}`], ['nas'], ['ssh-ed25519'], ['nas ssh-ed25519']]) {
    await assert.rejects(checkSigners(signers('nobody', ...lines)), {
      kind: 'usage',
      message: /^the file .*nobody of VERIFY_SIGNERS allows no signer$/,
    });
  }
  await assert.rejects(checkSigners(directory), { kind: 'usage' });
});

test('no signature is left in the directory for temporary files', async (t) => {
  const directory = temporaryDirectory('signatures');
  changeEnvironment(t, { TMPDIR: directory });
  const signature = await signText(path('mine'), text);
  await signatureProblem(both, { text, signature, at });
  assert.deepEqual(readdirSync(directory), []);
});
