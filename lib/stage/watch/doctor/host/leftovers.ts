/** What runs that were stopped have left here: backups and restores that can go on, and what is of no use any more. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readableTimestamp } from '../../../../core/format/names.ts';
import { RunDirectory } from '../../../../edge/files/run-directory.ts';
import { listAbandonedScratch } from '../../../../edge/scratch/scratch-filesystem.ts';
import { describeAbandoned, isResumed } from '../../../backup/abandoned-runs.ts';
import { scratchDirectory } from '../../../restore/scratch/scratch-plan.ts';
import { nameLeftRestores } from '../../../restore/staging/left-behind.ts';
import { type Check, doubtful, type Finding, failure, fine, listen } from '../check.ts';
import type { Patient } from '../patient.ts';

/** The checks for what is left. */
export function leftoverChecks({ settings }: Patient): readonly Check[] {
  return [
    { name: 'unfinished backups', look: () => lookForBackups(settings) },
    { name: 'unfinished restores', look: lookForRestores },
    { name: 'scratch images', look: () => lookForScratch(scratchDirectory(settings)) },
  ];
}

async function lookForBackups(settings: Patient['settings']): Promise<readonly Finding[]> {
  const { RUN_DIR: runDirectory } = settings;
  const names = await readdir(runDirectory, { withFileTypes: true }).catch(() => []);
  const found: Finding[] = [];
  for (const { name } of names.filter((entry) => entry.isDirectory())) {
    try {
      const file = await new RunDirectory(runDirectory, name).readSnapshot();
      if (!file) continue;
      if (!isResumed(settings, name)) {
        const { says, cure } = describeAbandoned(settings, file);
        found.push(doubtful(says, cure));
        continue;
      }
      found.push(
        doubtful(
          `the ${file.kind} backup of ${name} of ${readableTimestamp(file.created_at)} is not finished`,
          `make backup SUBVOLUME=${name} resumes it`,
        ),
      );
    } catch (error) {
      found.push(failure(error));
    }
  }
  return found.length > 0 ? found : [fine('none')];
}

async function lookForRestores(): Promise<readonly Finding[]> {
  const { log, warnings } = listen();
  await nameLeftRestores({ log });
  return warnings.length > 0 ? warnings : [fine('none')];
}

async function lookForScratch(directory: string): Promise<readonly Finding[]> {
  const left = await listAbandonedScratch(directory);
  if (left.length === 0) return [fine('none')];
  return left.map((name) =>
    doubtful(
      `${join(directory, name)} is of a drill or extract that was killed`,
      'the next make drill or make extract removes it',
    ),
  );
}
