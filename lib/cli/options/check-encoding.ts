/** Whether what is backed up can be encoded and signed as the settings ask for: better now than after a snapshot was taken. */
import { ToolError } from '../../core/errors.ts';
import { zstdLevelOf } from '../../core/format/codec.ts';
import type { SettingValues } from '../../core/settings/settings.ts';
import { checkRecipients, readRecipients } from '../../edge/codec/recipients.ts';
import { tryEncoding } from '../../edge/codec/trial.ts';
import { checkSigningKey } from '../../edge/signature/ssh-signature.ts';

/** @throws ToolError (usage) when a restore with the same settings would refuse what is backed up, or nothing can be signed */
export async function checkSigning({ SIGN_WITH, VERIFY_SIGNERS }: SettingValues): Promise<void> {
  if (SIGN_WITH !== '') await checkSigningKey(SIGN_WITH, VERIFY_SIGNERS);
  else if (VERIFY_SIGNERS !== '') {
    throw new ToolError(
      'VERIFY_SIGNERS is set, and SIGN_WITH is not: a restore would refuse what is backed up here',
      {
        kind: 'usage',
        hint: 'set SIGN_WITH to the secret key of one of the signers, or leave VERIFY_SIGNERS to the settings of restores',
      },
    );
  }
}

/** @throws ToolError: usage when age does not take a recipient, or their file cannot be used; or when a program is not installed or too old */
export async function checkEncoding({ COMPRESS, ENCRYPT_TO }: SettingValues): Promise<void> {
  const recipients = await readRecipients(ENCRYPT_TO);
  await checkRecipients(recipients);
  await tryEncoding({ zstdLevel: zstdLevelOf(COMPRESS), recipients });
}
