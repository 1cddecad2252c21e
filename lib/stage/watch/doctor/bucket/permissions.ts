/** Each permission that a role needs is tried, in a way that leaves nothing in the bucket. */
import { MAX_DRILL_BYTES } from '../../../../core/format/drill-record.ts';
import { drillKey, recoveryTextKey, SubvolumeKeys } from '../../../../core/format/names.ts';

import { readVersioning } from '../../../../edge/s3/bucket/bucket-properties.ts';
import {
  type Trial,
  tryAbort,
  tryAction,
  tryDelete,
  tryListUploads,
  tryRead,
  tryReplace,
  tryThaw,
  tryUpload,
} from '../../../../edge/s3/bucket/trials.ts';
import { readDocument } from '../../../../edge/s3/documents.ts';
import { checkAccess, headObject, type ListedObject, listObjects } from '../../../../edge/s3/objects.ts';
import { type Bucket, type WriteOptions, writeOptions } from '../../../../edge/s3/s3-client.ts';
import { broken, type Finding, fine, skipped } from '../check.ts';
import type { Patient, Role } from '../patient.ts';
import type { ServerTrial } from './server.ts';

/** Before there were backups: nothing of ours has such a key, and prune takes an upload there for a dead run's. */
const noBackup = '19700101T000000Z';
/** Of the same time, for a drill. */
const noSubvolume = 'doctor';

const plain: WriteOptions = { StorageClass: 'STANDARD' };

/** Tries what a role needs, and reports which permissions are missing. */
export async function lookAtPermissions(
  bucket: Bucket,
  patient: Patient,
  server: Promise<ServerTrial>,
): Promise<readonly Finding[]> {
  const { role } = patient;
  const trials = await trialsOf(bucket, patient, await server);
  const denials = trials.filter(({ outcome }) => outcome === 'denied');
  const denied = [...new Map(denials.map((trial) => [trial.action, trial])).values()];
  const allowed = new Set(trials.flatMap(({ action, outcome }) => (outcome === 'allowed' ? [action] : [])));
  const unread = needsToRead(role) && !trials.some(({ action }) => action === 's3:GetObject');
  const findings: Finding[] = denied.map((trial) => describeDenial(trial, bucket, role));
  if (unread) {
    const what = role === 'backup' ? 'RESTORE.txt' : 'a backup';
    findings.push(skipped(`s3:GetObject was not tried: ${what} is not there yet`));
  }
  if (denied.length === 0)
    findings.unshift(fine(`may do what make ${role} needs: ${[...allowed].join(', ')}`));
  return findings;
}

function describeDenial({ action, on, says }: Trial, { name, prefix }: Bucket, role: Role): Finding {
  const resource = on === undefined ? name : `${name}/${on}`;
  const cure = `allow it, as config/iam/${role}.json does, with BUCKET=${name} and PREFIX=${prefix} filled in`;
  const sentence = says === '' || says === 'Access Denied' ? '' : `: ${says}`;
  return broken(`${action} is denied on ${resource}${sentence}`, cure);
}

function needsToRead(role: Role): boolean {
  return role !== 'prune';
}

async function trialsOf(
  bucket: Bucket,
  patient: Patient,
  { refusal }: ServerTrial,
): Promise<readonly Trial[]> {
  const list = await tryAction('s3:ListBucket', `${bucket.prefix}/*`, [], () => checkAccess(bucket));
  const objects = list.outcome === 'allowed' ? await listObjects(bucket, `${bucket.prefix}/`) : [];
  switch (patient.role) {
    case 'backup':
      return [list, ...(await trialsOfBackup(bucket, patient, objects, refusal === undefined))];
    case 'restore':
      return [list, ...(await readEach(bucket, objects)), ...(await thawTrial(bucket, objects))];
    case 'drill':
      return [
        list,
        ...(await readEach(bucket, objects)),
        ...(await thawTrial(bucket, objects)),
        ...(await replaceTrial(bucket, patient, objects, drillsBelow(bucket))),
      ];
    case 'verify':
      return [list, ...(await readEach(bucket, objects))];
    case 'prune':
      return [list, ...(await trialsOfPrune(bucket, objects))];
  }
}

async function trialsOfBackup(
  bucket: Bucket,
  patient: Patient,
  objects: readonly ListedObject[],
  takesOptions: boolean,
): Promise<readonly Trial[]> {
  const { settings } = patient;
  const [first] = settings.SUBVOLUMES ?? [];
  const keys = new SubvolumeKeys(bucket.prefix, first?.name ?? noSubvolume);
  // What the server refuses of class and encryption is a finding of its own, and no matter of permissions.
  const options = takesOptions ? writeOptions(settings, 'chunks') : plain;
  const text = recoveryTextKey(bucket.prefix);
  const uploads = [keys.chunk('full', noBackup, 0), keys.chunk('incremental', noBackup, 0)];
  return [
    await tryListUploads(bucket),
    // First, because it finds out about conditions.
    ...(await replaceTrial(bucket, patient, objects, pointersBelow(bucket))),
    ...(await Promise.all(uploads.map((key) => tryUpload(bucket, key, options)))).flat(),
    ...((await isThere(bucket, text)) ? [await tryRead(bucket, text)] : []),
  ];
}

async function isThere(bucket: Bucket, key: string): Promise<boolean> {
  // A denial is what is to be found out.
  return headObject(bucket, key).then(
    (head) => head !== undefined,
    () => true,
  );
}

/** Documents that a role replaces: those that are there, and one that is not. */
interface Replaced {
  readonly pattern: RegExp;
  readonly absentKey: string;
}

function pointersBelow({ prefix }: Bucket): Replaced {
  return { pattern: /\/current\.json$/, absentKey: new SubvolumeKeys(prefix, noSubvolume).current };
}

function drillsBelow({ prefix }: Bucket): Replaced {
  return { pattern: /\/drill\/[^/]+\/[^/]+\.json$/, absentKey: drillKey(prefix, noSubvolume, noBackup) };
}

/**
 * Replaces a document under a condition that does not hold. On AWS one that is there: what is missing may be denied to those who list
 * below a prefix alone. Elsewhere one that is not, because a condition may turn out to have no effect.
 */
async function replaceTrial(
  bucket: Bucket,
  { settings }: Patient,
  objects: readonly ListedObject[],
  { pattern, absentKey }: Replaced,
): Promise<readonly Trial[]> {
  if (!bucket.habits.keepsConditions) return [];
  const presentKey = bucket.isAws ? objects.findLast(({ key }) => pattern.test(key))?.key : undefined;
  if (bucket.isAws && presentKey === undefined) return [];
  // A key of KMS has permissions of its own.
  const options = settings.SSE === 'aws:kms' ? writeOptions(settings, 'manifest') : plain;
  if (presentKey === undefined) return [await tryReplace(bucket, absentKey, options, undefined)];
  // That it may not be read is found out by the trial of s3:GetObject.
  const document = await readDocument(bucket, presentKey, MAX_DRILL_BYTES).catch(() => undefined);
  return document ? [await tryReplace(bucket, presentKey, options, document.text)] : [];
}

/** One of each kind of object that this role reads. */
async function readEach(bucket: Bucket, objects: readonly ListedObject[]): Promise<readonly Trial[]> {
  const kinds = [/\/manifest-[^/]+\.json$/, /\/chunk-[^/]+\.bin$/, /\/current\.json$/];
  const keys = kinds.flatMap((kind) => objects.findLast(({ key }) => kind.test(key))?.key ?? []);
  return Promise.all(keys.map((key) => tryRead(bucket, key)));
}

async function thawTrial(bucket: Bucket, objects: readonly ListedObject[]): Promise<readonly Trial[]> {
  const plain = objects.findLast(
    ({ key, storageClass }) => key.endsWith('.json') && storageClass === 'STANDARD',
  );
  return plain === undefined ? [] : [await tryThaw(bucket, plain.key)];
}

async function trialsOfPrune(bucket: Bucket, objects: readonly ListedObject[]): Promise<readonly Trial[]> {
  const key = new SubvolumeKeys(bucket.prefix, noSubvolume).chunk('full', noBackup, 0);
  const documents = objects.filter((object) => object.key.endsWith('.json'));
  const versioning = await readVersioning(bucket);
  return [
    await tryListUploads(bucket),
    await tryAbort(bucket, key),
    ...(await readEach(bucket, documents)),
    // A delete marker would stay.
    ...(versioning === 'enabled' || versioning === 'suspended' ? [] : [await tryDelete(bucket, key)]),
  ];
}
