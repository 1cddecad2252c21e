/** Keys of age and of SSH, made for a test. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { shell } from '../../testing/harness/processes/shell.ts';

/** Makes an identity of age in a directory. Gives its path and its public key. */
export async function makeIdentity(directory: string, name: string) {
  const identity = join(directory, name);
  await shell`age-keygen -o ${identity}`;
  return { identity, recipient: (await shell`age-keygen -y ${identity}`).stdout.trim() };
}

/** Makes an SSH key in a directory, and gives the public one without its comment. */
export async function makeSshKey(
  directory: string,
  name: string,
  type: 'ed25519' | 'rsa' | 'ecdsa',
  passphrase = '',
): Promise<string> {
  const path = join(directory, name);
  await shell`ssh-keygen -q -t ${type} -N ${passphrase} -f ${path}`;
  return readFileSync(`${path}.pub`, 'utf8').split(' ').slice(0, 2).join(' ').trim();
}
