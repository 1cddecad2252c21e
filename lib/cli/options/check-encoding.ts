/** Whether what is backed up can be encoded as the settings ask for: better now than after a snapshot was taken. */
import type { SettingValues } from '../../core/settings/settings.ts';
import { checkRecipients, readRecipients } from '../../edge/codec/recipients.ts';
import { programsOf } from '../../edge/codec/steps.ts';

/** @throws ToolError: usage when age does not take a recipient, or their file cannot be used; or when a program is not installed */
export async function checkEncoding({ COMPRESS, ENCRYPT_TO }: SettingValues): Promise<void> {
  const recipients = await readRecipients(ENCRYPT_TO);
  await programsOf({
    compress: COMPRESS === 'none' ? 'none' : 'zstd',
    encrypt: recipients.length === 0 ? 'none' : 'age',
  });
  await checkRecipients(recipients);
}
