/** How the filesystem of a path is mounted. */
import { mountOf } from './mounts.ts';

/** True where new files are compressed by a mount option. @throws ToolError when the filesystem is unknown */
export async function compresses(path: string): Promise<boolean> {
  const { filesystemOptions } = await mountOf(path);
  return filesystemOptions.some((option) => /^compress(-force)?(=|$)/.test(option));
}
