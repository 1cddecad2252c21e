/** The files of this repository, as version control sees them: tracked, or new and not ignored. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';

/** Paths from the root. */
export function repositoryFiles(): readonly string[] {
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const listed = execFileSync('git', args, { cwd: repositoryRoot, encoding: 'utf8', maxBuffer: 2 ** 24 });
  return listed.split('\0').filter((path) => path !== '' && existsSync(join(repositoryRoot, path)));
}
