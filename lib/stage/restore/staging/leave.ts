/** What a restore leaves when it ends: nothing, or what was received and would have to be fetched and paid for again. */
import { basename, dirname, join } from 'node:path';
import { ToolError } from '../../../core/errors.ts';
import type { RestoreFile } from '../../../core/format/restore-file.ts';
import { formatCount } from '../../../core/units.ts';
import { KeptParts } from '../../../edge/files/kept-parts.ts';
import type { StageContext } from '../../context.ts';
import { takeCopyBack } from '../continue-chain.ts';
import { checkPlace, isInPlace } from '../target.ts';
import { isWorthKeeping } from './record.ts';
import { lockStaging, type Staging, stagingPath } from './staging.ts';

/** Removes a staging directory with all that belongs to it. */
export async function removeStaging(staging: Staging): Promise<void> {
  const record = await staging.readRecord();
  if (record?.kept_parts) await KeptParts.at(record.kept_parts).remove();
  await staging.remove();
}

/** After a failure: removes the stream that was under way, and keeps what the next run continues with, if there is any. */
export async function leaveForLater({ log }: StageContext, target: string, staging: Staging): Promise<void> {
  const record = await staging.readRecord();
  if (!record || !(await isWorthKeeping(record))) return removeStaging(staging);
  await staging.keepOnly(record.received?.name);
  // Then nothing is to be received any more.
  if (await isInPlace(target, record.target_uuid)) return;
  log.warn(
    `kept in ${staging.path}: ${describeProgress(record)}; run the same command again to continue, or make restore TARGET=${target} ABANDON=1 to remove it`,
  );
}

/** How far a restore is, as the subject of a sentence. */
export function describeProgress({ chain, received, subvolume }: RestoreFile): string {
  const count = chain.findIndex(({ manifest_key }) => manifest_key === received?.manifest_key) + 1;
  return count > 0
    ? `${count} of ${formatCount(chain.length, 'stream')} of ${subvolume}`
    : `parts of the first stream of ${subvolume}`;
}

/** Whoever looks at what is left holds the lock for a moment. */
const abandonTries = 10;

/**
 * Gives up a restore that was stopped: removes what it has left.
 * @returns a sentence that says what was removed
 * @throws ToolError (locked) when that restore is under way
 */
export async function abandonRestore(target: string): Promise<string> {
  await checkPlace(target);
  const path = stagingPath(target);
  const staging = await lockStaging(path, abandonTries);
  if (staging === 'gone') return `there is no unfinished restore to ${target}`;
  if (!staging) {
    throw new ToolError(`the restore to ${target} is under way`, { kind: 'locked', hint: 'stop it first' });
  }
  try {
    const record = await staging.readRecord();
    // A copy for the next backup belongs to TARGET once that is in place.
    if (record && !(await isInPlace(target, record.target_uuid))) await takeCopyBack({ file: record });
    await removeStaging(staging);
    return `removed ${path}${record ? `, with ${describeProgress(record)}` : ''}`;
  } finally {
    await staging.close();
  }
}

/** Where a restore that left a staging directory would put its subvolume: where the directory is now, whatever it was called then. */
export function targetOf(stagingDirectory: string, { target }: RestoreFile): string {
  return join(dirname(stagingDirectory), basename(target));
}
