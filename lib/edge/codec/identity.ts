/** The identity with which age opens what is encrypted to it: a file of age, or a secret SSH key. */
import { stat } from 'node:fs/promises';
import { ToolError } from '../../core/errors.ts';
import { codeOf, fileError } from '../files/files.ts';
import { runProgram } from '../process/run-program.ts';
import { ageSays } from './recipients.ts';
import { decodingSteps, encodingSteps } from './steps.ts';

/**
 * Looks at the identity file without reading it.
 * @throws ToolError (usage) when it is missing, or others may read it
 */
export async function checkIdentityFile(path: string): Promise<void> {
  const what = `the identity file ${path} of DECRYPT_WITH`;
  const status = await stat(path).catch((cause: unknown) => {
    if (codeOf(cause) === 'ENOENT') throw wrongIdentity(`${what} does not exist`, cause);
    throw wrongIdentity(fileError(`cannot look at ${what}`, cause).message, cause);
  });
  if (!status.isFile()) throw wrongIdentity(`${what} is not a regular file`);
  if ((status.mode & 0o077) === 0) return;
  throw new ToolError(`${what} can be read by others (mode ${(status.mode & 0o777).toString(8)})`, {
    kind: 'usage',
    hint: `run: chmod 600 ${path}`,
  });
}

/** Encrypts a text to recipients. @throws ToolError when age fails */
export async function sealText(recipients: readonly string[], text: string): Promise<Buffer> {
  const [step] = encodingSteps({ zstdLevel: undefined, recipients }, 0);
  if (!step) throw new Error('there are no recipients');
  return runProgram(step, Buffer.from(text));
}

/**
 * Opens what `sealText` made.
 * @param what it is, for the message
 * @throws ToolError: usage when the identity is not one of its recipients or cannot be used, damage when it is no whole file of age
 */
export async function openSealed(identity: string, sealed: Uint8Array, what: string): Promise<string> {
  const [step] = decodingSteps({ compress: 'none', encrypt: 'age' }, identity);
  if (!step) throw new Error('age has no step');
  try {
    return (await runProgram(step, sealed)).toString('utf8');
  } catch (error) {
    // One that is not installed has its own advice.
    if (!(error instanceof ToolError) || error.hint !== undefined) throw error;
    const reason = ageSays(error);
    if (/no identity matched/.test(reason)) {
      throw new WrongIdentity(`the identity file ${identity} of DECRYPT_WITH does not open ${what}`, {
        kind: 'usage',
        hint: 'name the identity of one of its recipients; several may stand in one file',
        cause: error,
      });
    }
    if (/passphrase/.test(reason)) {
      throw wrongIdentity(
        `the identity file ${identity} of DECRYPT_WITH is protected by a passphrase, which cannot be entered here`,
        error,
        `decrypt it into a file that only root can read, and name that: age -d ${identity}, or ssh-keygen -p for an SSH key`,
      );
    }
    // Its first bytes, and the sizes in it, are age's own; only the identity's file and its format are ours to get wrong.
    if (reason.includes(identity)) {
      throw wrongIdentity(`the identity file ${identity} of DECRYPT_WITH cannot be used: ${reason}`, error);
    }
    throw new ToolError(`${what} is damaged: age cannot open it: ${reason}`, {
      kind: 'damage',
      problem: `is damaged: age cannot open it: ${reason}`,
      hint: 'make verify DEEP=1 shows all that is affected; AT= restores an earlier backup',
      cause: error,
    });
  }
}

/** The identity is a sound one, and not that of a recipient. */
export class WrongIdentity extends ToolError {}

function wrongIdentity(
  message: string,
  cause?: unknown,
  hint = 'DECRYPT_WITH names a file of age-keygen, or a secret SSH key',
): ToolError {
  return new ToolError(message, { kind: 'usage', hint, cause });
}
