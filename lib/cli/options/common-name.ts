/** A host name that many machines have is no prefix. */
import { ToolError } from '../../core/errors.ts';
import { isCommonHostName } from '../../core/plan/backup/chain-owner.ts';
import type { SettingValues } from '../../core/settings/settings.ts';

/** @throws ToolError (usage) where S3_PREFIX is not set, and the host's name would not do */
export function refuseCommonName({ S3_PREFIX }: SettingValues, hostName: string): void {
  if (S3_PREFIX !== undefined || !isCommonHostName(hostName)) return;
  throw new ToolError(`S3_PREFIX is not set, and "${hostName}" is a name that many machines have`, {
    kind: 'usage',
    hint: `set S3_PREFIX; S3_PREFIX=${hostName} continues backups that were made under that name`,
  });
}
