/**
 * Signatures of OpenSSH: `ssh-keygen -Y sign` and `-Y verify`, with a namespace of our own, so that what was signed for something else
 * is none of ours (ssh-keygen(1)).
 */
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ToolError } from '../../core/errors.ts';
import { fileError } from '../files/files.ts';
import { runProgram } from '../process/run-program.ts';

const namespace = 'btrfs-to-s3';
const maxSignersBytes = 2 ** 20;

/**
 * Signs a text.
 * @param key path of a secret SSH key
 * @throws ToolError when it cannot be used, or ssh-keygen is not installed
 */
export async function signText(key: string, text: string): Promise<string> {
  const signed = await keygen(['-Y', 'sign', '-f', key, '-n', namespace], text);
  return signed.toString('utf8');
}

/**
 * Whether a signature is of a text.
 * @param another one by the key that must have made it
 */
export async function isSignatureOf(text: string, signature: string, another: string): Promise<boolean> {
  const key = keyOf(signature);
  if (key === undefined || !key.equals(keyOf(another) ?? Buffer.alloc(0))) return false;
  return withFile(signature, (path) =>
    succeeds(keygen(['-Y', 'check-novalidate', '-n', namespace, '-s', path], text)),
  );
}

/** The public key that a signature names (PROTOCOL.sshsig of OpenSSH); undefined where it is no signature. */
function keyOf(signature: string): Buffer | undefined {
  const base64 = /^-----BEGIN SSH SIGNATURE-----\s(.+)-----END SSH SIGNATURE-----\s*$/s.exec(signature)?.[1];
  const bytes = Buffer.from(base64 ?? '', 'base64');
  const start = 'SSHSIG'.length + 4;
  if (bytes.length < start + 4 || !bytes.toString('latin1').startsWith('SSHSIG')) return undefined;
  return bytes.subarray(start + 4, start + 4 + bytes.readUInt32BE(start));
}

/** What is to be verified. */
export interface SignedText {
  readonly text: string;
  readonly signature: string;
  /** When it was signed, `YYYYMMDDTHHMMSSZ`: a key counts that was valid then. */
  readonly at: string;
}

/**
 * Why a text is not signed by one of the allowed signers, as a clause; undefined when it is.
 * @param signers path of an allowed_signers file (ssh-keygen(1), ALLOWED SIGNERS)
 */
export async function signatureProblem(
  signers: string,
  { text, signature, at }: SignedText,
): Promise<string | undefined> {
  // Only newer versions of ssh-keygen know the option, and only lines with a validity need it.
  const needsTime = /valid-(?:after|before)=/.test(await readFile(signers, 'utf8'));
  const time = needsTime ? [`-Overify-time=${at.replace('T', '')}`] : [];
  return withFile(signature, async (path) => {
    const found = await failureOf(keygen(['-Y', 'find-principals', '-f', signers, '-s', path, ...time]));
    if ('problem' in found) {
      if (/parse signature|incomplete message/.test(found.problem)) return 'its signature is none';
      const why = found.problem.startsWith('No principal matched') ? '' : ` (${found.problem})`;
      return `no signer in ${signers} has signed it${why}`;
    }
    let problem = 'it names no signer';
    // The patterns of the line that allows the key, each of which a name of that spelling matches.
    for (const principal of found.output.split('\n').filter(Boolean)) {
      const args = ['-Y', 'verify', '-f', signers, '-I', principal, '-n', namespace, '-s', path, ...time];
      const verified = await failureOf(keygen(args, text));
      if (!('problem' in verified)) return undefined;
      problem = verified.problem;
    }
    return `its signature is not of these bytes: ${problem}`;
  });
}

/**
 * Signs a word, and verifies it where signers are named.
 * @param signers path of an allowed_signers file; empty for none
 * @throws ToolError: usage when the key cannot be used, or is none of a signer
 */
export async function checkSigningKey(key: string, signers: string): Promise<void> {
  const text = 'a test';
  const signature = await signText(key, text).catch((error: unknown) => {
    // One that is not installed has its own advice.
    if (!(error instanceof ToolError) || error.hint !== undefined) throw error;
    throw new ToolError(`SIGN_WITH: ssh-keygen cannot sign with ${key}: ${lastWords(error)}`, {
      kind: 'usage',
      hint: 'it has to be a secret SSH key without a passphrase, which only its owner can read: ssh-keygen -t ed25519 -f FILE',
      cause: error,
    });
  });
  if (signers === '') return;
  await checkSigners(signers);
  const at = `${new Date().toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;
  const problem = await signatureProblem(signers, { text, signature, at });
  if (problem === undefined) return;
  throw new ToolError(`SIGN_WITH=${key} is not the key of a signer that VERIFY_SIGNERS=${signers} allows`, {
    kind: 'usage',
    hint: `a restore would refuse what it signs; add a line to that file: NAME, and then what ${key}.pub says`,
  });
}

/** Looks at an allowed_signers file. @throws ToolError (usage) when it cannot be read, or has no signer in it */
export async function checkSigners(path: string): Promise<void> {
  const what = `the file ${path} of VERIFY_SIGNERS`;
  let text: string;
  try {
    const { size } = await stat(path);
    if (size > maxSignersBytes) throw wrongSigners(`${what} has more than ${maxSignersBytes} bytes`);
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (cause instanceof ToolError) throw cause;
    throw wrongSigners(fileError(`cannot read ${what}`, cause).message, cause);
  }
  const isSigner = (line: string) => /^\S+ .*(?:ssh|ecdsa|sk)-\S+ [A-Za-z0-9+/]{20,}/.test(line.trim());
  if (!text.split('\n').some((line) => !line.trim().startsWith('#') && isSigner(line))) {
    throw wrongSigners(`${what} allows no signer`);
  }
}

function wrongSigners(message: string, cause?: unknown): ToolError {
  const hint = 'each line of it is a name and a public key, such as: nas ssh-ed25519 AAAA…';
  return new ToolError(message, { kind: 'usage', hint, cause });
}

function keygen(args: readonly string[], input = ''): Promise<Buffer> {
  return runProgram({ name: 'ssh-keygen', file: 'ssh-keygen', args }, Buffer.from(input));
}

async function failureOf(
  running: Promise<Buffer>,
): Promise<{ readonly output: string } | { readonly problem: string }> {
  try {
    return { output: (await running).toString('utf8') };
  } catch (error) {
    if (!(error instanceof ToolError) || error.hint !== undefined) throw error;
    return { problem: lastWords(error) };
  }
}

async function succeeds(running: Promise<Buffer>): Promise<boolean> {
  return !('problem' in (await failureOf(running)));
}

/** What ssh-keygen said first that is a reason, without its prompts and frames. */
function lastWords({ childOutput = '', message }: ToolError): string {
  const lines = childOutput.split('\n').map((line) => line.replace(/^Enter passphrase: /, '').trim());
  const reasons = lines.filter((line) => line !== '' && !/^@|^Signing data on/.test(line));
  return reasons[0] ?? message;
}

/** ssh-keygen takes a signature from a file alone. */
async function withFile<Result>(content: string, use: (path: string) => Promise<Result>): Promise<Result> {
  const directory = await mkdtemp(join(tmpdir(), 'btrfs-to-s3-')).catch((cause: unknown) => {
    throw fileError(`cannot write to ${tmpdir()}`, cause, undefined, 'make room there, or set TMPDIR');
  });
  try {
    const path = join(directory, 'signature');
    await writeFile(path, content, { mode: 0o600 });
    return await use(path);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
