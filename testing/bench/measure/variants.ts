/** The ways in which the tool is measured in one run: this checkout and another one, with parts of the default size and of others. */
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { S3_LIMITS } from '../../../lib/core/stream/part-sizes.ts';
import { formatSize, GIB } from '../../../lib/core/units.ts';
import type { BucketAccess } from '../../harness/servers/bucket-access.ts';
import { writeSettings } from '../../harness/settings-file.ts';
import { repositoryRoot } from '../../harness/test-directory.ts';
import { type MeasuredCommand, toolCommand } from './meter.ts';

/** Below which every variant keeps its objects, under its own name. */
const prefix = 'bench';

/** The tool in one of these ways. */
export interface Variant {
  readonly name: string;
  /** The first is what the others are compared with. */
  readonly isFirst: boolean;
  readonly prefix: string;
  /** Runs `scripts/SCRIPT.ts` as make does. */
  readonly tool: (script: string, ...args: readonly string[]) => MeasuredCommand;
  /** Uploads the prepared snapshot to a prefix of its own each time: what is there already is never uploaded again. */
  readonly upload: (...args: readonly string[]) => MeasuredCommand;
  /** Makes the upload begin anew: its snapshot is prepared, and nothing was ever uploaded. */
  readonly forgetUpload: () => Promise<void>;
}

/** Which variants there are beside this checkout with its defaults. */
export interface VariantOptions {
  /** Another checkout. */
  readonly baseline: string | undefined;
  /** Sizes of parts in bytes, of this checkout. */
  readonly partSizes: readonly number[];
}

/** What all of them are given. */
export interface VariantGround {
  readonly mountPoint: string;
  /** For settings and run files. */
  readonly directory: string;
  readonly access: BucketAccess;
  readonly environment: Readonly<Record<string, string>>;
}

/** The snapshot file of the prepared snapshot, in the ground's directory. */
export const snapshotFileName = 'snapshot.json';

/** Makes the variants, each with settings, run directory and prefix of its own. */
export async function makeVariants(
  ground: VariantGround,
  { baseline, partSizes }: VariantOptions,
): Promise<readonly Variant[]> {
  const own = { checkout: repositoryRoot, settings: {} };
  return Promise.all([
    makeVariant(ground, { ...own, name: 'this tool' }),
    ...(baseline === undefined
      ? []
      : [makeVariant(ground, { ...own, name: 'baseline', checkout: baseline })]),
    ...partSizes.map((bytes) => {
      // Chunks of the default size would have too many.
      const chunkBytes = Math.min(200 * GIB, S3_LIMITS.maxPartsPerObject * bytes);
      const settings = { PART_SIZE: `${bytes}`, CHUNK_SIZE: `${chunkBytes}` };
      return makeVariant(ground, { ...own, name: `parts of ${formatSize(bytes)}`, settings });
    }),
  ]);
}

/** Makes one with more settings than the tool needs. */
export async function makeVariant(
  { mountPoint, directory, access, environment }: VariantGround,
  about: {
    readonly name: string;
    readonly checkout: string;
    readonly settings: Readonly<Record<string, string>>;
  },
): Promise<Variant> {
  const place = about.name.replaceAll(/[^A-Za-z0-9]+/g, '-');
  const config = join(directory, `${place}.env`);
  const runDirectory = join(directory, `run-${place}`);
  await writeSettings({
    path: config,
    subvolume: join(mountPoint, 'data'),
    snapshotDirectory: join(mountPoint, 'snapshots'),
    runDirectory,
    prefix: `${prefix}/${place}`,
    access,
    more: { STORAGE_CLASS_CHUNKS: 'STANDARD', ...about.settings },
  });
  let uploads = 0;
  const tool: Variant['tool'] = (script, ...args) =>
    toolCommand(about.checkout, script, ['--config', config, ...args], environment);
  return {
    name: about.name,
    isFirst: about.name === 'this tool',
    prefix: `${prefix}/${place}`,
    tool,
    upload: (...args) =>
      tool('send-chunk-upload', '--set', `S3_PREFIX=${prefix}/${place}/upload-${uploads++}`, ...args),
    async forgetUpload() {
      const subvolume = join(runDirectory, 'data');
      await rm(subvolume, { recursive: true, force: true });
      await mkdir(subvolume, { recursive: true, mode: 0o700 });
      await copyFile(join(directory, snapshotFileName), join(subvolume, snapshotFileName));
    },
  };
}
