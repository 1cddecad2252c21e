/** TARGET: a path at which nothing is, on Btrfs; and how what was received becomes it in one step. */
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { describeError, ToolError } from '../../core/errors.ts';
import { formatCount } from '../../core/units.ts';
import { makeReadOnly, showSubvolume, subvolumeAt, takeSnapshot } from '../../edge/btrfs/btrfs.ts';
import { refuseMissingMount } from '../../edge/btrfs/mounts/missing-mount.ts';
import { mountOf } from '../../edge/btrfs/mounts/mounts.ts';
import { pathExists } from '../../edge/files/files.ts';
import { removeEmptyDirectories } from '../../edge/files/remove-empty-directories.ts';
import type { StageContext } from '../context.ts';
import type { RestoreRecord } from './staging/record.ts';
import { moveOut, type Staging } from './staging/staging.ts';

/** Checks where TARGET is to be. @throws ToolError (usage) */
export async function checkPlace(target: string): Promise<void> {
  if (!isAbsolute(target) || resolve(target) !== target) {
    throw new ToolError(`TARGET "${target}" is not a plain absolute path`, {
      kind: 'usage',
      hint: 'name it from the root, without "." and ".."',
    });
  }
  const parent = dirname(target);
  await refuseMissingMount('TARGET', target);
  if (!(await pathExists(parent))) {
    throw new ToolError(`the directory ${parent} does not exist`, {
      kind: 'usage',
      hint: `make it: mkdir -p ${parent}`,
    });
  }
  const { type, source } = await mountOf(parent);
  if (type !== 'btrfs') {
    // The new filesystem itself: what is above it is no help to know.
    if ((await pathExists(target)) && (await mountOf(target)).type === 'btrfs') {
      throw new ToolError(`TARGET ${target} exists already`, {
        kind: 'usage',
        hint: `name a path below it that does not exist yet, such as TARGET=${join(target, 'restored')}`,
      });
    }
    throw new ToolError(`${parent} is ${type} on ${source}, not Btrfs`, {
      kind: 'usage',
      hint: 'btrfs receive needs a Btrfs filesystem; choose a TARGET on one',
    });
  }
}

/** @throws ToolError (usage) when something is at TARGET */
export async function checkFree(target: string): Promise<void> {
  if (!(await pathExists(target))) return;
  throw new ToolError(`TARGET ${target} exists already`, {
    kind: 'usage',
    hint: 'name a path that does not exist yet; nothing is ever restored over something',
  });
}

/** True when what is at TARGET is what a restore has put there, which was stopped before it could say so. */
export async function isInPlace(target: string, uuid: string | null | undefined): Promise<boolean> {
  if (!uuid) return false;
  return (await subvolumeAt(target, basename(target)))?.uuid === uuid;
}

/**
 * Makes TARGET of a received subvolume, in one step: it is whole from the moment at which it is there.
 * @param source what was received, or a read-only snapshot of it that the next backup is to build on. Both keep the directories that
 *   `btrfs send` has left behind: the streams that follow are applied to what `btrfs receive` makes, and may name them.
 */
export async function putInPlace(
  { log }: StageContext,
  target: string,
  source: string,
  staging: Staging,
  record: RestoreRecord,
): Promise<void> {
  const path = staging.freePath();
  await takeSnapshot(source, path, 'writable');
  const strays = record.received?.strays ?? [];
  await removeStrays({ log }, path, strays, source).catch((error: unknown) => {
    // All data are there: nothing that is only untidy may stop a restore.
    log.warn(
      `the empty directories that btrfs send left at the top of ${target} stay: ${describeError(error)}; rmdir removes them`,
    );
  });
  await record.write({ target_uuid: (await showSubvolume(path)).uuid });
  await checkFree(target);
  await moveOut(path, target);
}

async function removeStrays(
  { log }: Pick<StageContext, 'log'>,
  path: string,
  strays: readonly string[],
  source: string,
): Promise<void> {
  const [first, ...others] = await removeEmptyDirectories(path, strays, source);
  if (first === undefined) return;
  const also = others.length > 0 ? ` and ${formatCount(others.length, 'other')}` : '';
  log.info(
    `removed ${first}${also} from the top: empty directories that btrfs send left behind, and that the snapshot does not have`,
  );
}

/** Made read-only last: a read-only snapshot would inherit received_uuid and be taken for the chain's own, and cannot be moved. */
export async function sealTarget(target: string): Promise<void> {
  const found = await showSubvolume(target);
  if (!found.readOnly) await makeReadOnly(target);
}
