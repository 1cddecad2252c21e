/**
 * The way back through a codec: a verified part → its frames, side by side through a pipeline of programs → the digest of each, where
 * the backup has sealed ones → in order into the sink.
 */
import { type Frame, partsOfFrames } from '../../core/format/frames.ts';
import type { ManifestChunk } from '../../core/format/manifest.ts';
import type { Slot } from '../../core/stream/chunker.ts';
import { untilAborted } from '../../edge/process/abort-scope.ts';
import type { Sink } from '../back/fetching.ts';
import type { Outlet } from '../back/outlet.ts';
import { damagedBytes } from '../back/verified-bytes.ts';
import type { StreamMemory } from '../memory/transfer-memory.ts';
import type { FramePipe } from './frame-pipe.ts';
import { undecodable } from './undecodable.ts';

/** What the frames of a chunk are decoded with. */
export interface ChunkDecoding {
  readonly chunk: ManifestChunk;
  readonly pipe: FramePipe;
  /** For the plain bytes. */
  readonly memory: StreamMemory;
  /** SHA-256 of each frame in base64, and of all of them in hex; undefined where the backup does not have any. */
  readonly expected: { readonly frames: readonly string[]; readonly chunk: string } | undefined;
  readonly sink: Sink;
  readonly signal: AbortSignal;
  /** Called at the end of the chunk with the SHA-256 of the stream so far. */
  readonly onStreamSha256: (sha256: string) => void;
}

/** An outlet that decodes. Bytes that differ from a sealed digest do not reach the sink. */
export function openDecodingOutlet(decoding: ChunkDecoding): Outlet {
  const { chunk, pipe, memory, sink, signal } = decoding;
  const frames = chunk.frames ?? [];
  const parts = partsOfFrames(frames);
  const underWay = new Set<Promise<unknown>>();
  let failure: { readonly error: unknown } | undefined;
  const watch = <Result>(task: Promise<Result>): Promise<Result> => {
    const watched = task
      .catch((error: unknown) => {
        failure ??= { error };
      })
      .finally(() => underWay.delete(watched));
    underWay.add(watched);
    return task;
  };
  let checked: Promise<unknown> = Promise.resolve();
  let written: Promise<unknown> = Promise.resolve();

  /** Begins to decode a frame, and queues it to be checked and written. Gives what ends when its stored bytes have been read. */
  const begin = async (index: number, frame: Frame, bytes: Uint8Array) => {
    const slot = await untilAborted(memory.pool.acquire(), signal);
    const plain = slot.bytes.subarray(0, frame.plain_size);
    const decoded = pipe.pass(frame.plain_size, bytes, plain, signal).catch((error: unknown) => {
      throw undecodable(error, chunk, index, signal);
    });
    checked = watch(
      Promise.all([decoded, checked]).then(([passed]) => checkFrame(decoding, index, passed, slot)),
    );
    written = watch(
      Promise.all([checked, written])
        .then(() => sink(plain))
        .finally(() => memory.pool.release(slot)),
    );
    return { isRead: watch(decoded) };
  };

  return {
    async take({ number, bytes, release }) {
      const part = parts[number - 1];
      if (!part) throw new Error(`${chunk.key} has no part ${number}`);
      const read: Promise<unknown>[] = [];
      let at = 0;
      for (const [index, frame] of frames.slice(part.first, part.first + part.count).entries()) {
        if (failure) throw failure.error;
        const { isRead } = await begin(part.first + index, frame, bytes.subarray(at, at + frame.size));
        read.push(isRead);
        at += frame.size;
      }
      watch(Promise.allSettled(read).then(release));
    },
    async finish() {
      await written;
    },
    async settled() {
      while (underWay.size > 0) await Promise.allSettled(underWay);
    },
  };
}

/** Holds the plain bytes of a frame against what the manifest says of them. @throws ToolError (damage) */
async function checkFrame(
  { chunk, memory: { hasher }, expected, onStreamSha256 }: ChunkDecoding,
  index: number,
  { bytes, isCut }: { readonly bytes: number; readonly isCut: boolean },
  slot: Slot,
): Promise<void> {
  const frame = chunk.frames?.[index];
  const isLast = index + 1 === chunk.frames?.length;
  if (!frame || isCut || bytes !== frame.plain_size) {
    const found = isCut ? 'more' : bytes;
    throw damagedBytes(
      `chunk ${chunk.key}`,
      `frame ${index + 1} holds ${found} bytes instead of ${frame?.plain_size}`,
    );
  }
  hasher.update(slot, 0, bytes);
  const digests = await hasher.finishPart(isLast);
  if (expected && expected.frames[index] !== digests.part) {
    throw damagedBytes(`chunk ${chunk.key}`, `frame ${index + 1} does not hold what was backed up`);
  }
  if (!isLast) return;
  if (expected && expected.chunk !== digests.chunk) {
    throw damagedBytes(`chunk ${chunk.key}`, 'it does not hold what was backed up');
  }
  onStreamSha256(digests.stream);
}
