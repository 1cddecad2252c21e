/** For whom is encrypted: the public keys that ENCRYPT_TO means, and whether age takes them. */
import { readFile, stat } from 'node:fs/promises';
import { ToolError } from '../../core/errors.ts';
import { type RecipientSource, readRecipientLines } from '../../core/settings/recipients.ts';
import { fileError } from '../files/files.ts';
import { runProgram } from '../process/run-program.ts';
import { encodingSteps } from './steps.ts';

const maxFileBytes = 2 ** 20;

/**
 * Reads the public keys that ENCRYPT_TO means, each once, in an order of their own: the same keys are the same recipients.
 * @throws ToolError (usage) for a file that cannot be read, or holds anything but public keys
 */
export async function readRecipients(sources: readonly RecipientSource[]): Promise<readonly string[]> {
  const keys: string[] = [];
  for (const source of sources) {
    if ('key' in source) keys.push(source.key);
    else keys.push(...(await readRecipientsFile(source.file)));
  }
  return [...new Set(keys)].sort();
}

/**
 * Has age encrypt nothing to the recipients.
 * @throws ToolError: of the kind usage when age does not take one of them
 */
export async function checkRecipients(recipients: readonly string[]): Promise<void> {
  for (const key of recipients) {
    const [step] = encodingSteps({ zstdLevel: undefined, recipients: [key] }, 0);
    if (!step) continue;
    try {
      await runProgram(step);
    } catch (error) {
      // One that is not installed has its own advice.
      if (!(error instanceof ToolError) || error.hint !== undefined) throw error;
      throw new ToolError(`ENCRYPT_TO: age does not encrypt to ${key}: ${ageSays(error)}`, {
        kind: 'usage',
        hint: 'age-keygen -y and ssh-keygen -y print the public key of a secret one',
        cause: error,
      });
    }
  }
}

/** What age gave as the reason of a failure. */
export function ageSays({ childOutput = '', message }: ToolError): string {
  return /^age: error: (.*)$/m.exec(childOutput)?.[1] ?? message;
}

async function readRecipientsFile(path: string): Promise<readonly string[]> {
  const what = `the recipients file ${path} of ENCRYPT_TO`;
  let text: string;
  try {
    const { size } = await stat(path);
    if (size > maxFileBytes) throw unusable(`${what} has more than ${maxFileBytes} bytes`);
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (cause instanceof ToolError) throw cause;
    throw unusable(fileError(`cannot read ${what}`, cause).message, cause);
  }
  const { keys, problem } = { keys: [], ...readRecipientLines(text) };
  if (problem !== undefined) throw unusable(`${what} cannot be used: ${problem}`);
  return keys;
}

function unusable(message: string, cause?: unknown): ToolError {
  return new ToolError(message, {
    kind: 'usage',
    hint: 'it holds a public key a line: age1…, ssh-ed25519 … or ssh-rsa …',
    cause,
  });
}
