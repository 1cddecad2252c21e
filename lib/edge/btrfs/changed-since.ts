/** Whether anything in a snapshot was changed after a moment. */
import { runForRecords } from '../process/child-records.ts';

/**
 * Looks at the ctime of every file, which nothing but a change sets: find(1) walks the whole tree and ends at the first that is later.
 * @param moment to the second; what happened within that second is not later
 */
export async function isChangedSince(path: string, moment: Date, signal: AbortSignal): Promise<boolean> {
  const seconds = Math.floor(moment.getTime() / 1000) + 1;
  const args = ['.', '-xdev', '-newerct', `@${seconds}`, '-printf', 'changed\\0', '-quit'];
  let isChanged = false;
  await runForRecords({ file: 'find', args, directory: path, separator: 0, signal }, () => {
    isChanged = true;
  });
  return isChanged;
}
