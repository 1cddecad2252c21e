/** What a filesystem keeps of files: found by trying, because its type does not show how it is mounted. */
import { chown, link, lstat, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileError } from '../files/files.ts';

/** What is kept. */
export interface Capabilities {
  /** Owners, and with them permissions, ACLs, extended attributes and special files. FAT and its like keep none of these. */
  readonly owners: boolean;
  readonly symlinks: boolean;
  readonly hardLinks: boolean;
  /** False where `a` and `A` are one name. */
  readonly cases: boolean;
}

/** Tries it in a directory of ours, as root. @throws ToolError where not even a file can be written */
export async function capabilitiesOf(directory: string): Promise<Capabilities> {
  const [file, other] = [join(directory, 'probe'), join(directory, 'probe-link')];
  try {
    await writeFile(file, '', { flag: 'wx' });
    const cases = !(await works(async () => (await lstat(join(directory, 'PROBE'))).isFile()));
    const owners = await works(async () => {
      await chown(file, 1, 1);
      return (await lstat(file)).uid === 1;
    });
    const hardLinks = await works(async () => {
      await link(file, other);
      return (await lstat(other)).nlink === 2;
    });
    await rm(other, { force: true });
    const symlinks = await works(async () => {
      await symlink('probe', other);
      return (await lstat(other)).isSymbolicLink();
    });
    return { owners, symlinks, hardLinks, cases };
  } catch (cause) {
    const fullHint = 'make room there, or name another directory, and run again';
    throw fileError(`cannot write to ${directory}`, cause, undefined, fullHint);
  } finally {
    await rm(other, { force: true });
    await rm(file, { force: true });
  }
}

async function works(attempt: () => Promise<boolean>): Promise<boolean> {
  return attempt().catch(() => false);
}
