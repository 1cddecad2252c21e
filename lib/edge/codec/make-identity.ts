/** Makes a key of age. */
import { rm } from 'node:fs/promises';
import { ToolError } from '../../core/errors.ts';
import { codeOf, fileError, pathExists, writeFlushed } from '../files/files.ts';
import { command, commandError } from '../process/child.ts';

/**
 * Makes an identity file, 0600, with the program of age.
 * @returns its public key
 * @throws ToolError when there is a file already, or it cannot be made; nothing of it is left then
 */
export async function makeIdentityFile(path: string): Promise<string> {
  if (await pathExists(path)) throw existing(path);
  const made = await command`age-keygen`;
  if (made.exitCode !== 0) throw commandError('cannot make a key', made.stderr);
  try {
    await writeFlushed(path, made.stdout);
  } catch (cause) {
    if (codeOf(cause) === 'EEXIST') throw existing(path);
    throw fileError(`cannot write ${path}`, cause, otherFile, otherFile);
  }
  const shown = await command`age-keygen -y ${path}`;
  if (shown.exitCode === 0) return shown.stdout.trim();
  await rm(path, { force: true });
  throw commandError(`cannot read the public key of ${path}`, shown.stderr);
}

const otherFile = 'name a file in another directory for the key';

function existing(path: string): ToolError {
  return new ToolError(`${path} exists already`, {
    hint: 'choose another path: a key is never written over',
  });
}
