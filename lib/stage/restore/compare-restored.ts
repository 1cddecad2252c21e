/** After a restore: what can be proved, and the proof. */
import { basename, isAbsolute } from 'node:path';
import { describeError, ToolError } from '../../core/errors.ts';
import type { Manifest } from '../../core/format/manifest.ts';
import { formatCount } from '../../core/units.ts';
import { type FoundSubvolume, findSubvolumes, subvolumeAt } from '../../edge/btrfs/btrfs.ts';
import { compareTrees } from '../../edge/compare/compare-trees.ts';
import { pathExists } from '../../edge/files/files.ts';
import type { StageContext } from '../context.ts';

/** `full`: every byte; `sample`: all metadata and the content of some files; `none`. */
export type VerifyMode = 'full' | 'sample' | 'none';

/**
 * Compares a restored tree with its source snapshot, when that is still on this host.
 * @returns a clause that says exactly what was compared, or why nothing was.
 * @throws ToolError (damage) with the first differences.
 */
export async function compareWithSource(
  context: StageContext,
  manifest: Manifest,
  target: string,
  mode: VerifyMode,
): Promise<string> {
  if (mode === 'none') return 'not compared file by file: VERIFY=none';
  const found = await findSource(context, manifest);
  if (!found) return 'not compared file by file: the source snapshot is not on this host';
  const { path: source } = found;
  const { VERIFY_SAMPLE_FILES: sampleFiles } = context.settings;
  const comparison = await unlessDeleted(context, found, () =>
    compareTrees({ expected: source, actual: target, mode, sampleFiles, signal: context.signal }),
  );
  if (!comparison) {
    return 'not compared file by file: the source snapshot was deleted meanwhile, as a backup does with old ones';
  }
  const [first] = comparison.differences;
  // Manifests that do not name this time, such as those of the Python tool, leave it to the stream, which may not carry it.
  const onlyTopMtime =
    manifest.snapshot.mtime === undefined &&
    comparison.totalDifferences === 1 &&
    first?.path === '.' &&
    first.aspects.join() === 'mtime';
  if (comparison.totalDifferences > 0 && !onlyTopMtime) {
    const shown = comparison.differences
      .slice(0, 10)
      .map(({ path, aspects }) => `${path}: ${aspects.join(', ')}`);
    throw new ToolError(
      `${target} differs from the source snapshot ${source} in ${formatCount(comparison.totalDifferences, 'place')}`,
      {
        kind: 'damage',
        hint: 'the restored tree is kept for inspection; was the snapshot made writable after the backup?',
        childOutput: shown.join('\n'),
      },
    );
  }
  const content = mode === 'full' ? 'the content of all' : `the content of ${comparison.contents}`;
  const but = onlyTopMtime
    ? ', except for the modification time of the top directory, which its manifest does not record'
    : '';
  return `compared with ${source}: metadata of ${formatCount(comparison.entries, 'path')} and ${content} files are equal${but}`;
}

/**
 * Does something with a snapshot; undefined where that fails because the snapshot is gone: a backup that is published meanwhile deletes old
 * ones, and a comparison may take hours.
 * @throws what failed for another reason
 */
export async function unlessDeleted<Result>(
  { signal }: Pick<StageContext, 'signal'>,
  { path, uuid }: FoundSubvolume,
  work: () => Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await work();
  } catch (error) {
    signal.throwIfAborted();
    const there = await subvolumeAt(path, basename(path)).catch(() => undefined);
    if (there?.uuid === uuid) throw error;
    return undefined;
  }
}

/** The snapshot that a backup was made of, when it is still on this host and read-only. */
export async function findSource(
  context: StageContext,
  manifest: Manifest,
): Promise<FoundSubvolume | undefined> {
  const { uuid, path } = manifest.snapshot;
  const ours = await snapshotsHere(context);
  // The snapshot of another is where the manifest says, if anywhere; the UUID tells whether it is still the same.
  const there = isAbsolute(path) ? await subvolumeAt(path, basename(path)).catch(() => undefined) : undefined;
  return [...ours, ...(there ? [there] : [])].find((found) => found.uuid === uuid && found.readOnly);
}

/** Those in SNAPSHOT_DIR. It may be on the disk that has died: that must not end the restore of what was there. */
async function snapshotsHere({ settings, log, signal }: StageContext): Promise<readonly FoundSubvolume[]> {
  const directory = settings.SNAPSHOT_DIR;
  try {
    return directory && (await pathExists(directory)) ? await findSubvolumes(directory) : [];
  } catch (error) {
    signal.throwIfAborted();
    log.warn(`the snapshots in SNAPSHOT_DIR ${directory} cannot be looked at: ${describeError(error)}`);
    return [];
  }
}
