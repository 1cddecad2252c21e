/** Directories that a test file may fill as it likes; they are gone when it has ended. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { testDirectory } from '../../testing/harness/test-directory.ts';

/** An empty directory below testing/run/; to be called at the top of a file. */
export function temporaryDirectory(name: string): string {
  const directory = mkdtempSync(join(testDirectory(), `${name}-`));
  after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/**
 * A filesystem in memory that is soon full, unmounted at the end; to be called at the top of a file, as root.
 * @param inodes files and directories that there may be, its own top directory included; many by default.
 */
export function tinyFilesystem(name: string, sizeBytes: number, inodes = 0): string {
  const parent = mkdtempSync(join(testDirectory(), `${name}-`));
  const directory = join(parent, 'tiny');
  mkdirSync(directory);
  const remove = () => {
    process.off('exit', remove);
    spawnSync('umount', ['--', directory]);
    rmSync(parent, { recursive: true, force: true });
  };
  after(remove);
  // Where a hook before this one fails, node:test runs no more of them.
  process.once('exit', remove);
  const mounted = spawnSync('mount', [
    '-t',
    'tmpfs',
    '-o',
    `size=${sizeBytes},nr_inodes=${inodes}`,
    'tiny',
    directory,
  ]);
  if (mounted.status !== 0) throw new Error(`mount was refused: ${mounted.stderr}`);
  return directory;
}
