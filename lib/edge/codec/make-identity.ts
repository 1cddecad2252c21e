/** Makes a key of age. */
import { ToolError } from '../../core/errors.ts';
import { pathExists } from '../files/files.ts';
import { command, commandError } from '../process/child.ts';

/**
 * Makes an identity file, 0600, with the program of age.
 * @returns its public key
 * @throws ToolError when there is a file already, or it cannot be made
 */
export async function makeIdentityFile(path: string): Promise<string> {
  if (await pathExists(path)) {
    throw new ToolError(`${path} exists already`, {
      hint: 'choose another path: a key is never written over',
    });
  }
  const made = await command`umask 077 && age-keygen -o ${path}`;
  if (made.exitCode !== 0) throw commandError(`cannot make a key at ${path}`, made.stderr);
  const shown = await command`age-keygen -y ${path}`;
  if (shown.exitCode !== 0) throw commandError(`cannot read the public key of ${path}`, shown.stderr);
  return shown.stdout.trim();
}
