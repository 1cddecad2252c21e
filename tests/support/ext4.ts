/** An ext4 filesystem for one test file. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { shell } from '../../testing/harness/processes/shell.ts';
import { testDirectory } from '../../testing/harness/test-directory.ts';

/** Where it is mounted, empty; it is gone when the file has ended. As root. */
export async function ext4(name: string, sizeBytes: number, blockBytes = 4096): Promise<string> {
  const parent = mkdtempSync(join(testDirectory(), `${name}-`));
  const [image, directory] = [join(parent, 'image'), join(parent, 'mount')];
  mkdirSync(directory);
  const remove = () => {
    process.off('exit', remove);
    spawnSync('umount', ['--', directory]);
    rmSync(parent, { recursive: true, force: true });
  };
  after(remove);
  // Where a hook before this one fails, node:test runs no more of them.
  process.once('exit', remove);
  await shell`truncate --size ${sizeBytes} ${image} && mkfs.ext4 -q -b ${blockBytes} ${image}`;
  await shell`mount -t ext4 -o loop ${image} ${directory}`;
  await shell`rmdir ${join(directory, 'lost+found')}`;
  return directory;
}
