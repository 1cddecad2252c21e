/** Whether the snapshot of a backup is still on this host, and as it was when it was backed up. */
import { describeError } from '../../../core/errors.ts';
import type { Manifest } from '../../../core/format/manifest.ts';
import type { FoundSubvolume } from '../../../edge/btrfs/btrfs.ts';
import { readStreamHead } from '../../../edge/btrfs/read-stream-head.ts';
import type { StageContext } from '../../context.ts';
import { findSource, unlessDeleted } from '../compare-restored.ts';

/** A snapshot that a backup was made of. */
export interface SourceHere {
  readonly path: string;
  /** False for one that was made writable meanwhile, and may have been changed. */
  readonly isUnchanged: boolean;
}

/** Looks for it; undefined when it is not here, or cannot be read, as on a disk that dies. */
export async function sourceHere(context: StageContext, manifest: Manifest): Promise<SourceHere | undefined> {
  const found = await findSource(context, manifest);
  if (!found) return undefined;
  try {
    const unchanged = await unlessDeleted(context, found, () => isUnchanged(found, manifest));
    return unchanged === undefined ? undefined : { path: found.path, isUnchanged: unchanged };
  } catch (error) {
    context.signal.throwIfAborted();
    context.log.warn(`${found.path}, which was backed up, cannot be read: ${describeError(error)}`);
    return undefined;
  }
}

/** By its state, which the stream named; manifests that do not record it have the generation, which only ever says too much. */
async function isUnchanged({ path, generation }: FoundSubvolume, { snapshot }: Manifest): Promise<boolean> {
  if (snapshot.transid === undefined) return generation === snapshot.generation;
  return (await readStreamHead(path)).transid === snapshot.transid;
}
