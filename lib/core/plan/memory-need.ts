/** The most memory that a transfer takes, and which settings take less. */
import { S3_LIMITS } from '../stream/part-sizes.ts';
import { formatSize, MIB } from '../units.ts';

/** The most that the program takes beside its parts: Node itself has grown (measured: make memory). */
export function programBytes(nodeMajor: number): number {
  return (nodeMajor > 20 ? 145 : 120) * MIB;
}

/** The most bytes that a transfer of parts takes: one more than are under way, which fills meanwhile. */
export function memoryNeedBytes(concurrency: number, partSizeBytes: number, program: number): number {
  return (concurrency + 1) * partSizeBytes + program;
}

/** What decides how much memory a transfer takes. */
export interface TransferSizes {
  readonly concurrency: number;
  readonly partSizeBytes: number;
  readonly program: number;
}

/** The largest CONCURRENCY whose parts fit, as a setting; undefined when none does. */
export function fittingConcurrency(limitBytes: number, sizes: TransferSizes): string | undefined {
  const { concurrency, partSizeBytes, program } = sizes;
  const fitting = Math.min(concurrency, Math.floor((limitBytes - program) / partSizeBytes) - 1);
  return fitting >= 1 ? `CONCURRENCY=${fitting}` : undefined;
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
  const partFor = (concurrency: number) =>
    Math.floor((limitBytes - sizes.program) / (concurrency + 1) / MIB) * MIB;
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
export function leastMemory(program: number): string {
  return formatSize(memoryNeedBytes(1, S3_LIMITS.minPartBytes, program));
}

/** A size as settings have it. */
function written(bytes: number): string {
  return `${bytes / MIB}MiB`;
}
