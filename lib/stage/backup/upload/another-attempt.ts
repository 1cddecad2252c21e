/** What an upload goes on after by itself, within the same run: the stream is sent once more, and what is stored of it is not. */
import { ToolError } from '../../../core/errors.ts';
import { replayJournal, withoutChunk } from '../../../core/plan/resume.ts';
import { StreamRestarted } from '../../../core/stream/restart-watch.ts';
import { readJournal } from '../../../edge/files/journal.ts';
import type { RunDirectory } from '../../../edge/files/run-directory.ts';
import { StreamChanged } from '../../../transfer/out/chunk-object.ts';
import type { StageContext } from '../../context.ts';
import type { UploadPlan } from './upload-plan.ts';

/**
 * The plan for another attempt at an upload that has failed; says why there is one.
 * @throws the error that it has failed with, where another attempt would not help
 */
export async function planAnotherAttempt(
  { log }: Pick<StageContext, 'log'>,
  run: RunDirectory,
  plan: UploadPlan,
  error: unknown,
): Promise<UploadPlan> {
  if (error instanceof ToolError && error.cause instanceof StreamRestarted) {
    log.warn(
      'btrfs send was stopped, as when the machine is suspended, and began its stream again; sending on from what is uploaded',
    );
  } else if (error instanceof StreamChanged && plan.earlier) {
    // A complete chunk cannot be changed in one part, and its first parts have passed already; so have the first frames of a part.
    log.warn(`the stream has changed since the last run: ${error.message}; sending it again`);
  } else throw error;
  const journal = replayJournal(await readJournal(run.journalPath));
  const isOfUse = !(error instanceof StreamChanged) || error.isJournalled;
  const earlier = isOfUse ? journal : withoutChunk(journal, error.chunkIndex);
  return { ...plan, earlier, own: journal.own };
}
