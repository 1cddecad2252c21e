/** Before a transfer: how much memory it takes at most, and a warning where there is less. */
import { zstdLevelOf } from '../core/format/codec.ts';
import {
  codecProgramBytes,
  fittingConcurrency,
  fittingUploads,
  leastMemory,
  memoryNeedBytes,
  programBytes,
  type TransferSizes,
} from '../core/plan/memory-need.ts';
import type { SettingValues } from '../core/settings/settings.ts';
import { chooseLayout } from '../core/stream/part-sizes.ts';
import { formatSize, MIB } from '../core/units.ts';
import { type MemoryLimit, readMemoryLimit } from '../edge/process/memory-limit.ts';
import type { NothingDue } from './backup/plan-if-due.ts';
import type { PreparedBackup } from './backup/snapshot.ts';
import type { StageContext } from './context.ts';

/** What `btrfs send` and `receive` take beside this process, and a reserve. */
const besidesBytes = 16 * MIB;

const program = programBytes(Number(process.versions.node.split('.')[0]));

/**
 * The most memory, in bytes, that sending what is planned takes; undefined where nothing is to be sent. Warns where there is less.
 * @param plans by the names of their subvolumes
 */
export async function planMemory(
  context: Pick<StageContext, 'settings' | 'log'>,
  plans: readonly (readonly [name: string, plan: PreparedBackup | NothingDue])[],
): Promise<number | undefined> {
  if (!plans.some(([, plan]) => 'kind' in plan && plan.kind !== 'none')) return undefined;
  await warnOfUploadMemory(context);
  return memoryNeedBytes(uploadSizes(context.settings));
}

function uploadSizes({
  CONCURRENCY,
  CHUNK_SIZE,
  PART_SIZE,
  COMPRESS,
  ENCRYPT_TO,
}: SettingValues): TransferSizes {
  const { partSizeBytes } = chooseLayout(CHUNK_SIZE, PART_SIZE);
  const zstdLevel = zstdLevelOf(COMPRESS);
  const isEncrypted = ENCRYPT_TO.length > 0;
  const isEncoded = zstdLevel !== undefined || isEncrypted;
  const codec = isEncoded ? codecProgramBytes(zstdLevel, isEncrypted) : undefined;
  return { concurrency: CONCURRENCY, partSizeBytes, program, codec };
}

/** Warns where this machine or a cgroup has less memory than uploads may take, with settings that fit. */
export async function warnOfUploadMemory(
  { settings, log }: Pick<StageContext, 'settings' | 'log'>,
  limit?: MemoryLimit,
): Promise<void> {
  const sizes = uploadSizes(settings);
  const least = limit ?? (await readMemoryLimit());
  const line = lineOf('a backup', sizes, least, (bytes) => {
    const fitting = fittingUploads(bytes, settings.CHUNK_SIZE, sizes);
    return fitting.length > 0
      ? `settings that fit: ${fitting.join(', or ')}; with another PART_SIZE or CHUNK_SIZE an unfinished upload begins again`
      : `${leastMemory(program + besidesBytes, sizes.codec)} are needed at least: CHUNK_SIZE=48GiB PART_SIZE=5MiB CONCURRENCY=1`;
  });
  if (line !== undefined) log.warn(line);
}

/**
 * Warns where there is less memory than reading may take.
 * @param slotBytes of the largest piece that is held in memory, with what it is decoded into
 */
export async function warnOfDownloadMemory(
  { settings, log }: Pick<StageContext, 'settings' | 'log'>,
  what: string,
  slotBytes: number,
  limit?: MemoryLimit,
): Promise<void> {
  const sizes = { concurrency: settings.CONCURRENCY, partSizeBytes: slotBytes, program };
  const least = limit ?? (await readMemoryLimit());
  const line = lineOf(what, sizes, least, (bytes) => {
    const fitting = fittingConcurrency(bytes, sizes);
    return fitting === undefined
      ? `use a machine with more: the parts of this backup have ${formatSize(slotBytes)}`
      : `a setting that fits: ${fitting}`;
  });
  if (line !== undefined) log.warn(line);
}

function lineOf(
  what: string,
  sizes: TransferSizes,
  limit: MemoryLimit | undefined,
  cure: (usableBytes: number) => string,
): string | undefined {
  const needed = memoryNeedBytes(sizes);
  if (!limit || needed + besidesBytes <= limit.bytes) return undefined;
  return `${what} takes up to ${formatSize(needed)} of memory, but ${limit.whose} has ${formatSize(limit.bytes)}: it may be killed; ${cure(limit.bytes - besidesBytes)}`;
}
