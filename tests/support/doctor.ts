/** The doctor, called in this process. */
import type { Bucket } from '../../lib/edge/s3/s3-client.ts';
import type { Diagnosis } from '../../lib/stage/watch/doctor/check.ts';
import { examine, examineBucket } from '../../lib/stage/watch/doctor/examine.ts';
import type { Patient } from '../../lib/stage/watch/doctor/patient.ts';
import { settingsOf } from './settings.ts';

type Settings = Readonly<Record<string, string>>;
type Options = Partial<Pick<Patient, 'role' | 'now' | 'measuresRate'>>;
const config = '/etc/btrfs-to-s3.env';

function patientWith(
  settings: Settings,
  { role = 'backup', now = () => new Date(), measuresRate = false }: Options,
): Patient {
  return {
    settings: settingsOf(settings),
    config,
    role,
    now,
    measuresRate,
    hostName: 'host-1',
    hostId: 'one',
  };
}

/** Examines a bucket, and a host with these settings. */
export function examineWith(
  open: () => Promise<Bucket>,
  settings: Settings,
  options: Options = {},
): Promise<readonly Diagnosis[]> {
  return examine(patientWith(settings, options), open, new AbortController().signal);
}

/** Examines a bucket alone: what is looked at on the host starts five programs each time. */
export function examineBucketWith(
  open: () => Promise<Bucket>,
  settings: Settings,
  options: Options = {},
): Promise<readonly Diagnosis[]> {
  return examineBucket(patientWith(settings, options), open, new AbortController().signal);
}

/** The lines of some checks, or of those that are not fine: `broken bucket: … | cure`. */
export function linesOf(found: readonly Diagnosis[], ...checks: readonly string[]): readonly string[] {
  return found
    .filter(({ check, verdict }) => (checks.length > 0 ? checks.includes(check) : verdict === 'broken'))
    .map(
      ({ check, verdict, says, cure }) =>
        `${verdict} ${check}: ${says}${cure === undefined ? '' : ` | ${cure}`}`,
    );
}
