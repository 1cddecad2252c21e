/** Looks for a path that no send stream can hold, once `btrfs send` has failed on one without saying which. */
import { runForRecords } from '../process/child-records.ts';

/**
 * The first path below a directory with more than so many bytes, as bytes; undefined when there is none. Walks the whole tree with
 * find(1), which goes down step by step and so reads paths of any length.
 */
export async function findLongPath(
  directory: string,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  let found: Uint8Array | undefined;
  const args = ['.', '-mindepth', '1', '-xdev', '-printf', '%P\\0'];
  await runForRecords({ file: 'find', args, directory, separator: 0, signal }, (path) => {
    if (path.length > maxBytes) found ??= new Uint8Array(path);
  });
  return found;
}
