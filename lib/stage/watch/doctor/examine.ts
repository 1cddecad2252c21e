/** All checks, in the order in which they are shown: the host, the way to the bucket, and the bucket. */
import type { Bucket } from '../../../edge/s3/s3-client.ts';
import { accessChecks } from './bucket/access.ts';
import { judgeLast, lookAtDrills, readLast } from './bucket/backups.ts';
import { identify, judgeIdentity } from './bucket/credentials.ts';
import { lookAtIdentity } from './bucket/identity.ts';
import { lookAtPermissions } from './bucket/permissions.ts';
import { lookAtLifecycle, lookAtVersions } from './bucket/properties.ts';
import { lookAtRate, RATE_LIMIT_MS } from './bucket/rate.ts';
import { describeServer, tryServer } from './bucket/server.ts';
import { type Diagnosis, failure, skipped } from './check.ts';
import { leftoverChecks } from './host/leftovers.ts';
import { machineChecks } from './host/machine.ts';
import { resourceChecks } from './host/resources.ts';
import { sourceChecks } from './host/sources.ts';
import { timerCheck } from './host/timer.ts';
import { type Patient, touchesBtrfs } from './patient.ts';
import { runChecks } from './run-checks.ts';

/** Looks at everything that a role needs. @param open opens the bucket, which may fail for its settings alone */
export async function examine(
  patient: Patient,
  open: () => Promise<Bucket>,
  signal: AbortSignal,
): Promise<readonly Diagnosis[]> {
  const host = [
    ...machineChecks(patient.role, patient.settings.COMPRESSED_SEND),
    ...(patient.role === 'backup' ? sourceChecks(patient) : []),
    ...resourceChecks(patient),
    ...(touchesBtrfs(patient.role) ? leftoverChecks(patient) : []),
    ...(patient.role === 'backup' ? [timerCheck(patient)] : []),
  ];
  const [ofHost, ofBucket] = await Promise.all([
    runChecks(host, signal),
    examineBucket(patient, open, signal),
  ]);
  return [...ofHost, ...ofBucket];
}

/** Looks at the way to the bucket, and at the bucket. @param open as above */
export async function examineBucket(
  patient: Patient,
  open: () => Promise<Bucket>,
  signal: AbortSignal,
): Promise<readonly Diagnosis[]> {
  let bucket: Bucket;
  let identity: Diagnosis;
  try {
    bucket = await open();
    identity = { check: 'credentials', ...judgeIdentity(await identify(bucket), patient.now()) };
  } catch (error) {
    signal.throwIfAborted();
    return [{ check: 'credentials', ...failure(error) }, notReached];
  }
  const { checks, isUsable } = accessChecks(bucket, patient);
  const before = [identity, ...(await runChecks(checks, signal))];
  if (!isUsable()) return [...before, notReached];
  const server = tryServer(bucket, patient);
  const permissions = lookAtPermissions(bucket, patient, server);
  const last = readLast(bucket, patient);
  // Whoever waits for them says so.
  for (const each of [server, permissions, last]) each.catch(() => undefined);
  const inside = [
    { name: 'permissions', look: () => permissions },
    {
      name: 'server',
      look: async () => {
        await permissions.catch(() => undefined);
        return describeServer(bucket, patient, await server);
      },
    },
    { name: 'versions', look: () => lookAtVersions(bucket) },
    { name: 'lifecycle', look: () => lookAtLifecycle(bucket, patient, last) },
    { name: 'last backup', look: async () => judgeLast(await last, patient) },
    { name: 'age identity', look: async () => lookAtIdentity(await last, patient) },
    { name: 'last drill', look: async () => lookAtDrills(bucket, await last, patient) },
  ];
  const found = [...before, ...(await runChecks(inside, signal))];
  if (!patient.measuresRate) return found;
  // Alone, so that nothing else is on the line.
  const rate = { name: 'rate', look: (ending: AbortSignal) => lookAtRate(bucket, patient, ending) };
  return [...found, ...(await runChecks([rate], signal, RATE_LIMIT_MS))];
}

const notReached: Diagnosis = {
  check: 'the rest',
  ...skipped('what is in the bucket is looked at when that is mended'),
};
