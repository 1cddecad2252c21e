/**
 * What follows a publish: old local snapshots go, and the bucket gets its text and script for people. The backup is whole without either, and
 * neither keeps the other from being done.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describeError, ToolError } from '../../../core/errors.ts';
import type { SnapshotFile } from '../../../core/format/run-files.ts';
import { formatCount } from '../../../core/units.ts';
import { deleteSubvolume } from '../../../edge/btrfs/btrfs.ts';
import type { RunDirectory } from '../../../edge/files/run-directory.ts';
import type { StageContext } from '../../context.ts';
import { snapshotsToRemove } from '../local/own-snapshots.ts';
import { writeRecoverScript, writeRecoveryText } from './recovery-objects.ts';

/** Which snapshots went, and what kept others from it. */
export interface TidyOutcome {
  /** Names of the local snapshots that were deleted. */
  readonly thinned: readonly string[];
  /** Why snapshots stay that should have gone: they fill the disk, so the user has to look. Undefined when none does. */
  readonly untidy: ToolError | undefined;
}

/** Tidies up after the publish of a manifest. Never throws but for the reason of the context's signal. */
export async function tidyUp(
  context: StageContext,
  run: RunDirectory,
  file: SnapshotFile,
  manifest: { readonly key: string; readonly text: string },
): Promise<TidyOutcome> {
  // First: a disk fills up, whatever becomes of a text.
  const outcome = await thin(context, file, manifest.key);
  const courtesies = [
    () => forgetContinued(run, file),
    () => leaveCopyForHarness(manifest),
    () => writeRecoverScript(context),
    () => writeRecoveryText(context),
  ];
  for (const courtesy of courtesies) {
    await courtesy().catch((error: unknown) => {
      context.signal.throwIfAborted();
      context.log.warn(`${file.subvolume}: published, but ${describeError(error)}`);
    });
  }
  return outcome;
}

async function thin(context: StageContext, file: SnapshotFile, manifestKey: string): Promise<TidyOutcome> {
  // Those of others are theirs to thin.
  if (file.adopted) return { thinned: [], untidy: undefined };
  const thinned: string[] = [];
  const failures: unknown[] = [];
  try {
    for (const { name, path } of await snapshotsToRemove(context, file)) {
      const failure = await deleteSubvolume(path).then(
        () => thinned.push(name) && undefined,
        (error: unknown) => error,
      );
      if (failure !== undefined) failures.push(failure);
    }
  } catch (error) {
    failures.push(error);
  }
  return { thinned, untidy: untidyError(manifestKey, failures) };
}

function untidyError(manifestKey: string, failures: readonly unknown[]): ToolError | undefined {
  const [first] = failures;
  if (first === undefined) return undefined;
  const stay = `${formatCount(failures.length, 'old snapshot')} could not be removed: ${describeError(first)}`;
  const childOutput = first instanceof ToolError ? first.childOutput : undefined;
  return new ToolError(`${manifestKey} is published, but ${stay}`, {
    ...(childOutput !== undefined && { childOutput }),
    cause: first,
  });
}

/** From here on this host has a snapshot of its own. */
async function forgetContinued(run: RunDirectory, { parent }: SnapshotFile): Promise<void> {
  if (parent && parent.uuid === (await run.readContinued())?.snapshot_uuid) await run.forgetContinued();
}

/** The integration harness looks at manifests without asking the bucket. */
async function leaveCopyForHarness({ key, text }: { readonly key: string; readonly text: string }) {
  const directory = process.env.BTRFS_TO_S3_HARNESS_RUN_DIR;
  if (!directory) return;
  await mkdir(join(directory, 'manifests'), { recursive: true });
  await writeFile(join(directory, 'manifests', key.replaceAll('/', '_')), text);
}
