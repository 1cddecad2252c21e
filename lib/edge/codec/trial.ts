/** A codec is tried on a few bytes before anything depends on it: programs that are too old, or broken, are found with the settings. */
import { ToolError } from '../../core/errors.ts';
import { runProgram } from '../process/run-program.ts';
import { codecOf, decodingSteps, type Encoding, encodingSteps, programsOf } from './steps.ts';

const plain = Buffer.from('btrfs-to-s3 tries what it will be asked for\n'.repeat(100));
/** https://age-encryption.org/v1: the first line of every file, and what begins the part of each recipient. */
const ageIntro = 'age-encryption.org/v1\n';
const stanza = '\n-> ';

/**
 * Encodes some bytes as frames will be encoded, and looks at what comes out: what zstd made is decoded again, and what age made must name
 * every recipient.
 * @throws ToolError when a program is not installed, refuses, or does not do what it should
 */
export async function tryEncoding(encoding: Encoding): Promise<void> {
  const versions = await programsOf(codecOf(encoding));
  let bytes: Buffer = plain;
  for (const step of encodingSteps(encoding, plain.length)) {
    const version = `${step.file} ${versions[step.file] ?? ''}`.trim();
    const made = await runProgram(step, bytes).catch((error: unknown) => {
      if (!(error instanceof ToolError) || error.hint !== undefined) throw error;
      throw unusable(version, error.childOutput?.trim().split('\n').at(-1) ?? error.message, error);
    });
    const isRight = step.file === 'zstd' ? await isDecoded(made, bytes) : isFor(made, encoding.recipients);
    if (!isRight) throw unusable(version, 'it exits 0, but what it writes cannot be decoded');
    bytes = made;
  }
}

async function isDecoded(made: Buffer, bytes: Buffer): Promise<boolean> {
  const [step] = decodingSteps({ compress: 'zstd', encrypt: 'none' }, '');
  if (!step) throw new Error('zstd has no step');
  return runProgram(step, made).then(
    (decoded) => decoded.equals(bytes),
    () => false,
  );
}

function isFor(made: Buffer, recipients: readonly string[]): boolean {
  const text = made.toString('latin1');
  const header = text.slice(0, text.indexOf('\n---'));
  // Some kinds of recipients may have more than one part each.
  return text.startsWith(ageIntro) && header.split(stanza).length > recipients.length;
}

function unusable(version: string, why: string, cause?: unknown): ToolError {
  return new ToolError(`${version} of this host cannot make backups: ${why}`, {
    hint: 'COMPRESS needs zstd 1.4.4 or newer, ENCRYPT_TO age 1.0 or newer: install the packages of the distribution',
    cause,
  });
}
