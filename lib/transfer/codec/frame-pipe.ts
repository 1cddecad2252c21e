/**
 * Frames through the programs of a codec: a pipeline of processes for each, several at once. Node only hands the bytes over; what
 * comes out is read straight into memory of ours.
 */
import { closeSync } from 'node:fs';
import limit from 'p-limit';
import { type Fifo, makeFifos } from '../../edge/process/fifo.ts';
import { type Step, startPipeline } from '../../edge/process/pipeline.ts';
import { PipeReader } from '../out/pipe-reader.ts';

/** What came out of a pipeline. */
export interface Passed {
  /** Bytes that were written to the target. */
  readonly bytes: number;
  /** True when more came than the target takes; the rest is lost. */
  readonly isCut: boolean;
}

/** Pipes that frames take turns in using: to the first program, between the programs, and back to us. */
interface Lane {
  readonly into: Fifo;
  readonly between: readonly Fifo[];
  readonly back: Fifo;
}

/** Passes frames through programs. */
export class FramePipe {
  readonly #stepsFor: (plainBytes: number) => readonly Step[];
  readonly #lanes: Lane[];
  readonly #fifos: readonly Fifo[];
  readonly #limited: <Result>(task: () => Promise<Result>) => Promise<Result>;

  private constructor(
    stepsFor: (plainBytes: number) => readonly Step[],
    fifos: readonly Fifo[],
    lanes: Lane[],
  ) {
    this.#stepsFor = stepsFor;
    this.#fifos = fifos;
    this.#lanes = lanes;
    this.#limited = limit(lanes.length);
  }

  /**
   * @param stepsFor the programs, for a frame of so many plain bytes
   * @param concurrency frames under way at once; others wait for their turn
   * @throws ToolError when no pipes can be made
   */
  static async open(
    stepsFor: (plainBytes: number) => readonly Step[],
    concurrency: number,
  ): Promise<FramePipe> {
    const perLane = stepsFor(1).length + 1;
    const fifos = await makeFifos(perLane * concurrency);
    const lanes = Array.from({ length: concurrency }, (_, index) => {
      const [into, back, ...between] = fifos.slice(index * perLane, (index + 1) * perLane);
      if (!into || !back) throw new Error('a frame passes one program at least');
      return { into, back, between };
    });
    return new FramePipe(stepsFor, fifos, lanes);
  }

  /**
   * Passes the bytes of one frame through, as soon as it is its turn. Nothing touches either memory any more when this is over.
   * @throws ToolError when a program fails; the signal's reason when aborted
   */
  pass(plainBytes: number, bytes: Uint8Array, target: Uint8Array, signal: AbortSignal): Promise<Passed> {
    return this.#limited(async () => {
      signal.throwIfAborted();
      const lane = this.#lanes.pop();
      if (!lane) throw new Error('more frames are under way than there are lanes');
      try {
        return await passThrough(lane, this.#stepsFor(plainBytes), bytes, target, signal);
      } finally {
        this.#lanes.push(lane);
      }
    });
  }

  /** Gives the pipes back; to be called when no frame is under way. */
  close(): void {
    for (const fifo of this.#fifos) fifo.close();
  }
}

async function passThrough(
  { into, between, back }: Lane,
  steps: readonly Step[],
  bytes: Uint8Array,
  target: Uint8Array,
  signal: AbortSignal,
): Promise<Passed> {
  const ends = back.open('us');
  const reader = new PipeReader(ends.readDescriptor);
  const pipeline = startPipeline(steps, into, between, ends.writeDescriptor);
  closeSync(ends.writeDescriptor);
  const abort = () => {
    reader.fail(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
    void pipeline.stop();
  };
  signal.addEventListener('abort', abort, { once: true });
  try {
    pipeline.input.end(bytes);
    const filled = await reader.fill(target);
    if (!filled.ended) return { bytes: filled.bytes, isCut: true };
    await pipeline.finished;
    return { bytes: filled.bytes, isCut: false };
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
    reader.fail(new Error('the pipe is closed'));
    await pipeline.stop();
  }
}
