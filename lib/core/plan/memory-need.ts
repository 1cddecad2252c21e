/** The most memory that a transfer takes, and which settings take less. */
import { encodedSlotBytes } from '../format/frames.ts';
import { S3_LIMITS } from '../stream/part-sizes.ts';
import { formatSize, MIB } from '../units.ts';

/** The most that the program takes beside its parts: Node itself has grown (measured: make memory). */
export function programBytes(nodeMajor: number): number {
  return (nodeMajor > 20 ? 145 : 120) * MIB;
}

/** What decides how much memory a transfer takes. */
export interface TransferSizes {
  readonly concurrency: number;
  readonly partSizeBytes: number;
  readonly program: number;
  /** Bytes that the programs of a codec take for each part under way; undefined where parts are stored as they are. */
  readonly codec?: number | undefined;
}

/**
 * The most bytes that a transfer of parts takes: one more than are under way, which fills meanwhile. With a codec it holds them as they were
 * and encoded.
 */
export function memoryNeedBytes({ concurrency, partSizeBytes, program, codec }: TransferSizes): number {
  const encoded = codec === undefined ? 0 : encodedSlotBytes(partSizeBytes);
  return (concurrency + 1) * (partSizeBytes + encoded) + concurrency * (codec ?? 0) + program;
}

/**
 * Bytes that `zstd` and `age` take at most for a frame (measured with zstd 1.5.4, a thread each, and age 1.1.1, on 64 MiB).
 * @param zstdLevel undefined where nothing is compressed
 */
export function codecProgramBytes(zstdLevel: number | undefined, isEncrypted: boolean): number {
  const zstdMib = zstdLevel === undefined ? 0 : zstdLevel <= 6 ? 12 : zstdLevel <= 9 ? 20 : 96;
  return (zstdMib + (isEncrypted ? 6 : 0)) * MIB;
}

/** The largest CONCURRENCY whose parts fit, as a setting; undefined when none does. */
export function fittingConcurrency(limitBytes: number, sizes: TransferSizes): string | undefined {
  for (let { concurrency } = sizes; concurrency >= 1; concurrency--) {
    if (memoryNeedBytes({ ...sizes, concurrency }) <= limitBytes) return `CONCURRENCY=${concurrency}`;
  }
  return undefined;
}

/**
 * Settings with which an upload fits, best first: fewer parts at once, which keeps what is uploaded, or smaller ones, or both; where even the
 * smallest parts that CHUNK_SIZE allows are too large, smaller chunks. None where nothing fits.
 */
export function fittingUploads(
  limitBytes: number,
  chunkSizeBytes: number,
  sizes: TransferSizes,
): readonly string[] {
  const partFor = (concurrency: number) => {
    const left = limitBytes - sizes.program - concurrency * (sizes.codec ?? 0);
    const held = left / (concurrency + 1);
    // An encoded part takes a little more than a plain one: see `encodedSlotBytes`.
    return Math.floor((sizes.codec === undefined ? held : (held - 2 * MIB) / (2 + 1 / 1024)) / MIB) * MIB;
  };
  const smallest = Math.max(
    S3_LIMITS.minPartBytes,
    Math.ceil(chunkSizeBytes / S3_LIMITS.maxPartsPerObject / MIB) * MIB,
  );
  const fewer = fittingConcurrency(limitBytes, sizes);
  const smaller = partFor(sizes.concurrency);
  const alone = [fewer, smaller >= smallest ? `PART_SIZE=${written(smaller)}` : undefined];
  const found = alone.filter((setting) => setting !== undefined);
  if (found.length > 0) return found;
  for (let concurrency = sizes.concurrency; concurrency >= 1; concurrency--) {
    const part = partFor(concurrency);
    if (part >= smallest) return [`PART_SIZE=${written(part)} CONCURRENCY=${concurrency}`];
  }
  const part = partFor(1);
  if (part < S3_LIMITS.minPartBytes) return [];
  return [
    `CHUNK_SIZE=${written(part * S3_LIMITS.maxPartsPerObject)} PART_SIZE=${written(part)} CONCURRENCY=1`,
  ];
}

/** The least memory with which anything can be uploaded, for people. */
export function leastMemory(program: number, codec?: number): string {
  const partSizeBytes = S3_LIMITS.minPartBytes;
  return formatSize(memoryNeedBytes({ concurrency: 1, partSizeBytes, program, codec }));
}

/** A size as settings have it. */
function written(bytes: number): string {
  return `${bytes / MIB}MiB`;
}
