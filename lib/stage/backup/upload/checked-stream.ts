/** The check of a stream while it is uploaded: that it fits its parent, and that all its paths can be restored. */
import { ToolError } from '../../../core/errors.ts';
import type { SnapshotFile } from '../../../core/format/run-files.ts';
import { MAX_PATH_BYTES, PathTooLong } from '../../../core/stream/path-limits.ts';
import type { Demands } from '../../../core/stream/stream-demands.ts';
import type { StreamHead } from '../../../core/stream/stream-head.ts';
import { StreamInspector } from '../../../core/stream/stream-inspector.ts';
import { readMtime } from '../../../edge/btrfs/btrfs.ts';
import { findLongPath } from '../../../edge/btrfs/find-long-path.ts';
import {
  expectedOfPlan,
  explainStreamError,
  streamProblem,
  UnfitStream,
} from '../../../transfer/stream-check.ts';

const pathHint =
  'shorten the name of a directory above it, or move it up, then run make backup again; nothing was published';

/** The check of one upload. */
export class CheckedStream {
  readonly #file: SnapshotFile;
  readonly #inspector: StreamInspector;
  #mtime: ReturnType<typeof readMtime> | undefined;
  #bytes = 0;

  constructor(file: SnapshotFile) {
    this.#file = file;
    this.#inspector = new StreamInspector({
      onHead: (head) => {
        this.#refuseUnfit(head);
        // While it is being sent it cannot be made writable.
        this.#mtime = readMtime(file.snapshot.path);
        this.#mtime.catch(() => undefined);
      },
    });
  }

  /** Looks at the next bytes. @throws UnfitStream; ToolError for what is no stream */
  inspect(bytes: Uint8Array): void {
    this.#bytes += bytes.length;
    try {
      this.#inspector.push(bytes);
    } catch (error) {
      throw this.#explain(error);
    }
  }

  /** Bytes of the stream so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * To be called when nothing follows.
   * @returns what the stream said of itself, what it demands, and the modification time of the top directory while it was sent.
   */
  async finish(): Promise<{
    readonly head: StreamHead;
    readonly demands: Demands;
    readonly mtime: string | undefined;
  }> {
    try {
      const head = this.#inspector.finish();
      return { head, demands: this.#inspector.demands.result, mtime: await this.#mtime };
    } catch (error) {
      throw this.#explain(error);
    }
  }

  /** btrfs send ends with ENAMETOOLONG at a path that does not fit its buffer of 4096 bytes, and does not say which it is. */
  async explainSendFailure(error: unknown, signal: AbortSignal): Promise<unknown> {
    if (!(error instanceof ToolError) || !/File name too long/.test(error.childOutput ?? '')) return error;
    const path = await findLongPath(this.#file.snapshot.path, MAX_PATH_BYTES, signal).catch(() => undefined);
    return path ? this.#explain(new PathTooLong(path)) : error;
  }

  #refuseUnfit(head: StreamHead): void {
    const isOwnParent = head.uuid === head.parent?.uuid && 'has the UUID of its own parent';
    const problem = streamProblem(head, expectedOfPlan(this.#file)) ?? (isOwnParent || undefined);
    if (problem === undefined) return;
    throw new UnfitStream(`this backup is given up: the stream of ${this.#file.snapshot.path} ${problem}`, {
      hint: 'nothing was published; run make backup: it plans anew',
    });
  }

  #explain(error: unknown): unknown {
    return explainStreamError(error, `the backup of ${this.#file.snapshot.path}`, pathHint);
  }
}
