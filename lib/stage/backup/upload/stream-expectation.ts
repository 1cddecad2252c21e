/** How long a stream is expected to be while it is sent: for the progress that is shown, and for a warning when it is much longer. */
import { sentShare } from '../../../core/format/new-extents.ts';
import type { SnapshotFile } from '../../../core/format/run-files.ts';
import { formatSize, MIB } from '../../../core/units.ts';
import { findNewExtents } from '../../../edge/btrfs/measure-stream.ts';
import type { Progress } from '../../../transfer/transfer-context.ts';
import type { StageContext } from '../../context.ts';

/** A stream that is half as long again as was expected, and by more than what commands for small files take. */
const [surprisingShare, surprisingBytes] = [1.5, 64 * MIB];

/** What is expected of one stream. It is a convenience: a backup does not fail because of it. */
export class StreamExpectation {
  readonly #log: StageContext['log'];
  readonly #snapshot: SnapshotFile;
  #expectedBytes: number | undefined;
  #isTold = false;

  constructor({ log }: Pick<StageContext, 'log'>, snapshot: SnapshotFile) {
    this.#log = log;
    this.#snapshot = snapshot;
  }

  /** Looks at what is new in the snapshot; gives the bytes, where they can be had. Its child is gone when this is over. */
  async look(
    isSentCompressed: boolean,
    signal: AbortSignal,
    progress: Progress,
  ): Promise<number | undefined> {
    if (signal.aborted) return undefined;
    const { snapshot, parent } = this.#snapshot;
    try {
      const extents = await findNewExtents(snapshot.path, parent?.generation ?? 0, signal);
      this.expect(Math.round(extents.bytes * (isSentCompressed ? sentShare(extents) : 1)));
      progress.expect(this.#expectedBytes ?? 0);
    } catch (error) {
      this.#log.debug(`no estimate: ${error}`);
    }
    return this.#expectedBytes;
  }

  /** Sets it. */
  expect(bytes: number): void {
    this.#expectedBytes = bytes;
    this.#log.debug(`about ${formatSize(bytes)} to send`);
  }

  /** To be called with the bytes that were sent so far. Warns once. */
  compare(sentBytes: number): void {
    const expected = this.#expectedBytes;
    if (expected === undefined || this.#isTold) return;
    if (sentBytes < expected * surprisingShare + surprisingBytes) return;
    this.#isTold = true;
    const why = this.#snapshot.parent
      ? 'an increment writes holes of sparse files as zeros, and sends a file that was rewritten whole'
      : 'files that share their data are sent several times where it was cloned from elsewhere';
    this.#log.warn(
      `${this.#snapshot.subvolume}: the stream is longer than expected: ${formatSize(sentBytes)} so far, of about ${formatSize(expected)}; ${why}`,
    );
  }

  /** To be called with all of its bytes. */
  conclude(bytes: number): void {
    if (this.#expectedBytes === undefined) return;
    this.#log.debug(
      `the stream has ${formatSize(bytes)}, and about ${formatSize(this.#expectedBytes)} were expected`,
    );
  }
}
