/** Whose credentials are used, and for how long they hold. */

import { readableTime } from '../../../../core/format/names.ts';
import { formatDuration } from '../../../../core/units.ts';
import type { Bucket } from '../../../../edge/s3/s3-client.ts';
import { broken, doubtful, type Finding, fine } from '../check.ts';

/** What the SDK knows of credentials, without the secret. */
export interface Identity {
  readonly accessKeyId: string;
  readonly isTemporary: boolean;
  readonly expiration: Date | undefined;
  readonly profile: string | undefined;
}

/** Reads it. @throws what the SDK says where there are none */
export async function identify({ client }: Bucket): Promise<Identity> {
  const { accessKeyId, sessionToken, expiration } = await client.config.credentials();
  return {
    accessKeyId,
    isTemporary: sessionToken !== undefined,
    expiration,
    profile: process.env.AWS_PROFILE,
  };
}

/** Judges how long they hold. */
export function judgeIdentity(identity: Identity, now: Date): Finding {
  const { accessKeyId, isTemporary, expiration, profile } = identity;
  const key = accessKeyId.length > 8 ? `${accessKeyId.slice(0, 4)}…${accessKeyId.slice(-4)}` : accessKeyId;
  const whose = `access key ${key}${profile === undefined ? '' : ` of profile ${profile}`}`;
  const cure = 'renew them; for a timer use keys, or a role of this machine';
  if (expiration !== undefined) {
    const leftSeconds = (expiration.getTime() - now.getTime()) / 1000;
    if (leftSeconds <= 0) return broken(`${whose} expired at ${readableTime(expiration)}`, cure);
    return fine(
      `${whose}, which holds until ${readableTime(expiration)}, for ${formatDuration(leftSeconds)}`,
    );
  }
  if (!isTemporary) return fine(`${whose}, which does not expire`);
  return doubtful(`${whose} belongs to a session, whose end is not known here`, cure);
}
