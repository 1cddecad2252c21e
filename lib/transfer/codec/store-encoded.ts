/**
 * The way out through a codec: frame in its slot → is it in the bucket already? → pipeline of programs → encoded frame in a slot of its
 * own → part of whole frames → bucket and journal. Frames are encoded side by side, and packed in the order of the stream.
 */
import type { StoredChunk } from '../../core/format/run-files.ts';
import type { Chunk, Part } from '../../core/stream/chunker.ts';
import { S3_LIMITS } from '../../core/stream/part-sizes.ts';
import type { Journal } from '../../edge/files/journal.ts';
import { untilAborted } from '../../edge/process/abort-scope.ts';
import type { StreamMemory } from '../memory/transfer-memory.ts';
import { type ChunkObject, type CompletedChunk, StreamChanged, sumOf } from '../out/chunk-object.ts';
import type { ChunkUnderWay, StoreChunk, Tasks } from '../out/store-stream.ts';
import { EarlierFrames, isFrameOf, type PlainFrame } from './earlier-frames.ts';
import type { FramePipe } from './frame-pipe.ts';
import { PartPacker, PartsDoNotMeet } from './part-packer.ts';

/** What frames pass through. */
export interface EncodedPath {
  /** Of the plain bytes. */
  readonly plain: StreamMemory;
  /** Of the frames that they become. */
  readonly encoded: StreamMemory;
  readonly frames: FramePipe;
  readonly journal: Journal;
  readonly openObject: (index: number) => ChunkObject;
  /** Called with the number of plain bytes that the bucket has, by now or already. */
  readonly onStored: (plainBytes: number) => void;
  readonly signal: AbortSignal;
}

/** A chunk whose frames are on their way. */
interface EncodedChunk {
  readonly index: number;
  readonly object: ChunkObject;
  readonly packer: PartPacker;
  /** As an earlier run completed it; undefined when it is to be stored. */
  completed: CompletedChunk | undefined;
  readonly earlier: EarlierFrames;
}

/** How chunks of a stream are stored with a codec. @throws StreamChanged from it when the stream has to come again */
export function storingEncoded(path: EncodedPath): StoreChunk {
  // Frames of one chunk may still be on their way while the next one begins: all are packed in one row.
  let packed: Promise<unknown> = Promise.resolve();
  return async (chunk, tasks) => {
    const state = await openChunk(path, chunk, tasks);
    const inTurn = (pack: () => Promise<void>) => {
      packed = tasks.watch(packed.then(pack));
    };
    let [sha256, streamSha256] = ['', ''];
    for await (const part of chunk.parts) {
      const digests = await path.plain.hasher.finishPart(part.endsChunk);
      if (part.endsChunk) [sha256, streamSha256] = [digests.chunk, digests.stream];
      await storeFrame(path, state, part, digests.part, { ...tasks, inTurn });
    }
    const completed = packed.then(async () => {
      await state.packer.stored();
      return finish(state);
    });
    return { completed, plainSha256: sha256, streamSha256 } satisfies ChunkUnderWay;
  };
}

async function openChunk(path: EncodedPath, { index }: Chunk, { store }: Tasks): Promise<EncodedChunk> {
  const object = path.openObject(index);
  const completed = await object.completed();
  const earlier = new EarlierFrames(completed ? [] : await object.keptParts());
  const { encoded: memory, onStored } = path;
  return { index, object, completed, earlier, packer: new PartPacker({ memory, object, store, onStored }) };
}

async function storeFrame(
  path: EncodedPath,
  state: EncodedChunk,
  part: Part,
  plainSha256: string,
  { watch, inTurn }: Tasks & { readonly inTurn: (pack: () => Promise<void>) => void },
): Promise<void> {
  const { plain, encoded, frames, signal, onStored } = path;
  const { number, sizeBytes: plainSize, endsChunk } = part;
  const frame: PlainFrame = { index: number - 1, plainSize, plainSha256, endsChunk };
  if (isOfCompleted(state, frame) || (await isKept(path, state, frame, inTurn))) {
    plain.pool.release(part.slot);
    onStored(plainSize);
    return;
  }
  // In their order, so that the first frame that waits to be packed has one.
  const slot = await untilAborted(encoded.pool.acquire(), signal);
  const encoding = watch(
    frames
      .pass(plainSize, part.slot.bytes.subarray(0, plainSize), slot.bytes, signal)
      .finally(() => plain.pool.release(part.slot)),
  );
  inTurn(async () => {
    const { bytes, isCut } = await encoding;
    if (isCut)
      throw new Error(`frame ${number} of chunk ${state.index} has more bytes than a codec can make`);
    await state.packer.add(frame, slot, bytes);
  });
}

/** Whether a frame is that of a completed chunk, in its place. @throws StreamChanged when it is not, but those before it were */
function isOfCompleted(state: EncodedChunk, frame: PlainFrame): boolean {
  if (!state.completed) return false;
  if (isFrameOf(framesOf(state.completed), frame)) return true;
  if (frame.index > 0) throw new StreamChanged(state.index, `frame ${frame.index + 1}`);
  state.object.replace(state.completed);
  state.completed = undefined;
  return false;
}

/** Whether a frame lies in a part that the bucket has. @throws StreamChanged when that turns out too late to be wrong */
async function isKept(
  { journal }: EncodedPath,
  { index, earlier, packer }: EncodedChunk,
  frame: PlainFrame,
  inTurn: (pack: () => Promise<void>) => void,
): Promise<boolean> {
  const forget = (from: number, to: number) => journal.append({ event: 'parts-forgotten', index, from, to });
  const judged = earlier.judge(frame);
  if (judged.action === 'start over') {
    await forget(judged.forget.number, judged.forget.number);
    throw new StreamChanged(index, `frame ${frame.index + 1}`, true);
  }
  if (judged.action === 'encode') {
    if (judged.forget) await forget(judged.forget.number, judged.forget.number);
    return false;
  }
  if (judged.action === 'keep') {
    inTurn(async () => {
      try {
        packer.keep(judged.part);
      } catch (error) {
        if (!(error instanceof PartsDoNotMeet)) throw error;
        await forget(error.part.number, S3_LIMITS.maxPartsPerObject);
        throw new StreamChanged(index, `the sizes of the frames before part ${error.part.number}`, true);
      }
    });
  }
  return true;
}

async function finish({ object, completed }: EncodedChunk): Promise<StoredChunk> {
  if (completed && 'index' in completed) return completed;
  if (completed) {
    const { parts, made } = completed;
    return object.describe({ parts: [...parts], size: sumOf(made), frames: framesOf(completed) }, completed);
  }
  const { object: stored, parts } = await object.complete();
  const frames = parts.flatMap((part) => part.frames ?? []);
  const hashes = parts.map((part) => part.sha256);
  return object.describe({ parts: hashes, size: sumOf(parts), frames }, stored);
}

function framesOf(completed: CompletedChunk) {
  return 'made' in completed
    ? completed.made.flatMap(({ frames }) => frames ?? [])
    : (completed.frames ?? []);
}
