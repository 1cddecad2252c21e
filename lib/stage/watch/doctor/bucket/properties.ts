/** How the bucket is set up: versions, Object Lock, lifecycle rules. */
import { judgeLifecycle } from '../../../../core/plan/lifecycle-verdict.ts';
import {
  readDefaultRetention,
  readLifecycle,
  readVersioning,
} from '../../../../edge/s3/bucket/bucket-properties.ts';
import type { Bucket } from '../../../../edge/s3/s3-client.ts';
import { broken, doubtful, type Finding, fine, skipped } from '../check.ts';
import type { Patient } from '../patient.ts';
import { type LastOfName, uploadRate } from './backups.ts';

/** Looks at versions and Object Lock. */
export async function lookAtVersions(bucket: Bucket): Promise<readonly Finding[]> {
  const [versioning, retention] = await Promise.all([readVersioning(bucket), readDefaultRetention(bucket)]);
  const lock =
    retention === undefined
      ? []
      : [fine(`Object Lock keeps new objects (${retention}): make prune deletes nothing before that`)];
  switch (versioning) {
    case 'unknown':
      return [
        skipped('whether the bucket keeps versions is not known: the server or these credentials do not say'),
        ...lock,
      ];
    case 'off':
      return [fine('the bucket keeps no versions of what is deleted'), ...lock];
    case 'suspended':
      return [
        doubtful(
          'versioning is suspended: what was deleted before that is still there, and is charged for',
          'aws s3api list-object-versions shows it',
        ),
        ...lock,
      ];
    case 'enabled':
      return [
        fine(
          'the bucket keeps versions of what is deleted; whether a rule ends them stands under "lifecycle"',
        ),
        ...lock,
      ];
  }
}

/** Looks at lifecycle rules. @param last by whose rates they are judged */
export async function lookAtLifecycle(
  bucket: Bucket,
  patient: Patient,
  last: Promise<readonly LastOfName[]>,
): Promise<readonly Finding[]> {
  const rules = await readLifecycle(bucket);
  if (rules === 'unknown')
    return [skipped('the rules are not known: the server has none, or these credentials may not read them')];
  const measured = await Promise.all((await last).map((each) => uploadRate(each, patient)));
  const rates = measured.flatMap((rate) => rate ?? []);
  const problems = judgeLifecycle(rules, {
    prefix: bucket.prefix,
    uploadBytes: patient.settings.CHUNK_SIZE,
    rate: rates.length === 0 ? undefined : Math.min(...rates),
    versions: await readVersioning(bucket),
  });
  if (problems.length === 0) return [fine('rules end incomplete uploads, and harm nothing')];
  return problems.map(({ level, problem, cure }) => (level === 'broken' ? broken : doubtful)(problem, cure));
}
