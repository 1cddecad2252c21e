/** Whether the identity of DECRYPT_WITH opens what is in the bucket: better found now than on the day of a restore. */
import { PLAIN } from '../../../../core/format/codec.ts';
import type { StoredManifest } from '../../../../core/format/manifest.ts';
import { checkReadable } from '../../../bucket/identity.ts';
import { type Finding, failure, fine, skipped } from '../check.ts';
import { type Patient, readsPlainBytes } from '../patient.ts';
import type { LastOfName } from './backups.ts';

/** Looks at the last backup of each subvolume that is encrypted; nothing where none is, and no identity is set. */
export async function lookAtIdentity(
  last: readonly LastOfName[],
  { role, settings }: Patient,
): Promise<readonly Finding[]> {
  const isSet = settings.DECRYPT_WITH !== '';
  const encrypted = last.flatMap(({ stored }) => (stored && isEncrypted(stored) ? [stored] : []));
  if (encrypted.length === 0) return isSet ? [skipped('no last backup is encrypted')] : [];
  if (!isSet && !readsPlainBytes(role)) {
    return [skipped(`make ${role} needs none: DECRYPT_WITH belongs to where backups are restored`)];
  }
  return Promise.all(
    encrypted.map((stored) =>
      checkReadable({ settings }, [stored]).then(
        () => fine(`${settings.DECRYPT_WITH} opens the last backup of ${stored.manifest.subvolume}`),
        failure,
      ),
    ),
  );
}

function isEncrypted({ manifest: { codec = PLAIN } }: StoredManifest): boolean {
  return codec.encrypt !== 'none';
}
