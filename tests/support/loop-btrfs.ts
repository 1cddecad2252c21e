/** A Btrfs filesystem for one test file. */
import { execFileSync } from 'node:child_process';
import { after } from 'node:test';
import { createLoopFilesystem } from '../../testing/harness/loop-filesystem.ts';

/** Where it is mounted; it is gone when the file has ended. To be called at the top of a file, as root. */
export async function loopBtrfs(name: string): Promise<string> {
  const { mountPoint, remove } = await createLoopFilesystem({ name, sizeBytes: 256 * 2 ** 20 });
  after(remove);
  return mountPoint;
}

/** Runs the real `btrfs`; what it prints is the result. */
export function btrfs(...args: readonly string[]): string {
  return execFileSync('btrfs', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
