/** One row of the memory measurement: a chain is uploaded and restored with one choice of settings. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { GIB, MIB } from '../../../lib/core/units.ts';
import { shell } from '../../harness/processes/shell.ts';
import { startServerProcess } from '../../harness/servers/local-server.ts';
import { writeSettings } from '../../harness/settings-file.ts';
import { writeIncompressible } from '../data-sets.ts';
import { type Measured, runMeasured, type ScriptSurroundings } from './measured-script.ts';

/** What is measured. */
export interface MemoryCase {
  readonly partMib: number;
  readonly concurrency: number;
  readonly chunkMib: number;
  /** Incremental backups after the full one, each with a quarter of its bytes. */
  readonly incrementals: number;
  /** Through zstd and age. */
  readonly isEncoded?: boolean;
}

/** Where it is measured. */
export interface MemoryGround {
  /** A folder that belongs to this case alone. */
  readonly directory: string;
  readonly mountPoint: string;
  readonly gib: number;
  readonly environment: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** The largest upload of the chain, and its restore. */
export interface MemoryResult {
  readonly upload: Measured;
  readonly restore: Measured;
}

const run = shell;

/** What is promised: (CONCURRENCY + 1) parts plus 120 MiB, and with a codec twice the parts. */
export function memoryBound({ concurrency, partMib, isEncoded = false }: MemoryCase): number {
  return (isEncoded ? 2 : 1) * (concurrency + 1) * partMib * MIB + 120 * MIB;
}

/** Measures one case and leaves nothing of it. */
export async function measureMemory(what: MemoryCase, ground: MemoryGround): Promise<MemoryResult> {
  const { directory, mountPoint, environment, signal } = ground;
  await mkdir(directory, { mode: 0o700 });
  const server = await startServerProcess({
    directory: join(directory, 's3'),
    bucket: 'memory',
    environment,
  });
  try {
    const settings = join(directory, 'backup.env');
    await prepareFilesystem(mountPoint);
    await writeSettings({
      path: settings,
      subvolume: join(mountPoint, 'data'),
      snapshotDirectory: join(mountPoint, 'snapshots'),
      runDirectory: join(directory, 'run'),
      prefix: 'memory',
      access: server,
      more: {
        PART_SIZE: `${what.partMib}MiB`,
        CHUNK_SIZE: `${what.chunkMib}MiB`,
        CONCURRENCY: `${what.concurrency}`,
        STORAGE_CLASS_CHUNKS: 'STANDARD',
        ...(what.isEncoded && (await makeCodec(directory))),
      },
    });
    const surroundings = { settings, environment, signal, peakFile: join(directory, 'peak') };
    return await measureChain(what, ground, surroundings);
  } finally {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
    await clearFilesystem(mountPoint);
  }
}

async function measureChain(
  what: MemoryCase,
  { mountPoint, gib }: MemoryGround,
  surroundings: ScriptSurroundings,
): Promise<MemoryResult> {
  const uploads: Measured[] = [];
  for (let index = 0; index <= what.incrementals; index += 1) {
    const bytes = index === 0 ? gib * GIB : (gib * GIB) / 4;
    await writeIncompressible(join(mountPoint, `data/file-${index}`), bytes);
    await runMeasured('snapshot', [], surroundings);
    uploads.push(await runMeasured('send-chunk-upload', [], surroundings));
    await runMeasured('manifest', [], surroundings);
  }
  const target = join(mountPoint, 'restored');
  const restore = await runMeasured('restore', ['--subvolume', 'data', '--target', target], surroundings);
  return {
    upload: {
      peakBytes: Math.max(...uploads.map(({ peakBytes }) => peakBytes)),
      seconds: uploads.reduce((sum, { seconds }) => sum + seconds, 0),
    },
    restore,
  };
}

/** Settings for zstd and age, with a key that is made for them. */
async function makeCodec(directory: string): Promise<Readonly<Record<string, string>>> {
  const identity = join(directory, 'identity');
  await run`age-keygen -o ${identity}`;
  const recipient = (await run`age-keygen -y ${identity}`).stdout.trim();
  return { COMPRESS: 'zstd', ENCRYPT_TO: recipient, DECRYPT_WITH: identity };
}

async function prepareFilesystem(mountPoint: string): Promise<void> {
  await run`btrfs subvolume create ${join(mountPoint, 'data')}`;
  await mkdir(join(mountPoint, 'snapshots'), { mode: 0o700 });
}

/** The freed space must be there again before the next case fills it. */
async function clearFilesystem(mountPoint: string): Promise<void> {
  const paths = await run`btrfs subvolume list -o ${mountPoint}`;
  for (const line of paths.stdout.split('\n').filter((text) => text !== '')) {
    await run`btrfs subvolume delete ${join(mountPoint, line.replace(/^.* path /, ''))}`;
  }
  await run`btrfs subvolume sync ${mountPoint}`;
  await run`btrfs filesystem sync ${mountPoint}`;
  await rm(join(mountPoint, 'snapshots'), { recursive: true, force: true });
}
