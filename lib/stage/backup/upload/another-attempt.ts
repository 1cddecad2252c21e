/** What an upload goes on after by itself, within the same run: the stream is sent once more, and what is stored of it is not. */
import { ToolError } from '../../../core/errors.ts';
import type { SnapshotFile } from '../../../core/format/run-files.ts';
import { type EarlierUpload, replayJournal, withoutChunk } from '../../../core/plan/resume.ts';
import { StreamRestarted } from '../../../core/stream/restart-watch.ts';
import { readJournal } from '../../../edge/files/journal.ts';
import type { RunDirectory } from '../../../edge/files/run-directory.ts';
import { StreamChanged } from '../../../transfer/out/chunk-object.ts';
import type { StageContext } from '../../context.ts';
import type { UploadPlan } from './upload-plan.ts';

/** In a row, without anything new in the journal: then `btrfs send` is stopped more often than it takes to come to what is new. */
const mostIdleAttempts = 5;

/** Plans what follows an attempt at an upload that has failed. */
export class Attempts {
  readonly #log: StageContext['log'];
  readonly #run: RunDirectory;
  readonly #path: string;
  #idle = 0;

  constructor({ log }: Pick<StageContext, 'log'>, run: RunDirectory, { snapshot }: SnapshotFile) {
    this.#log = log;
    this.#run = run;
    this.#path = snapshot.path;
  }

  /**
   * The plan for another attempt; says why there is one.
   * @throws the error that the last one has failed with, where another would not help; ToolError when attempts bring nothing new
   */
  async planAnother(plan: UploadPlan, error: unknown): Promise<UploadPlan> {
    const isRestarted = error instanceof ToolError && error.cause instanceof StreamRestarted;
    if (!isRestarted && !(error instanceof StreamChanged && plan.earlier)) throw error;
    const journal = replayJournal(await readJournal(this.#run.journalPath));
    if (error instanceof StreamChanged) {
      // A complete chunk cannot be changed in one part, and its first parts have passed already; so have the first frames of a part.
      this.#log.warn(
        `the stream of ${this.#path} has changed since the last run: ${error.message}; sending it again`,
      );
      const earlier = error.isJournalled ? journal : withoutChunk(journal, error.chunkIndex);
      return { ...plan, earlier, own: journal.own };
    }
    this.#idle = storedParts(journal) > storedParts(plan.earlier) ? 0 : this.#idle + 1;
    if (this.#idle === mostIdleAttempts) throw stoppedTooOften(this.#path, error);
    this.#log.warn(
      `btrfs send of ${this.#path} was stopped, as when the machine is suspended, and began its stream again; sending on from what is uploaded`,
    );
    return { ...plan, earlier: journal, own: journal.own };
  }
}

/** A chunk that was stored whole counts as one. */
function storedParts(earlier: EarlierUpload | undefined): number {
  const chunks = [...(earlier?.chunks.values() ?? [])];
  return chunks.reduce((sum, { parts, completed }) => sum + parts.size + (completed ? 1 : 0), 0);
}

function stoppedTooOften(path: string, cause: unknown): ToolError {
  return new ToolError(
    `btrfs send of ${path} began its stream again ${mostIdleAttempts} times before it came to what is not uploaded yet: something stops it, as a suspend does`,
    {
      hint: 'keep the machine awake (systemd-inhibit make backup) or its container running; what is uploaded stays',
      cause,
    },
  );
}
