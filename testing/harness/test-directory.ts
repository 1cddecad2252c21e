/** Where tests and demonstrations may write: one ignored folder of this checkout. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** The checkout's root. */
export const repositoryRoot = join(import.meta.dirname, '..', '..');

/** testing/run/, made when it is missing. */
export function testDirectory(): string {
  const directory = join(repositoryRoot, 'testing', 'run');
  mkdirSync(directory, { recursive: true });
  return directory;
}
