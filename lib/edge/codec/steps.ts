/** The programs of a codec and what they are called with: those of the system, as people would use them by hand. */

import { ToolError } from '../../core/errors.ts';
import type { Codec } from '../../core/format/codec.ts';
import type { Step } from '../process/pipeline.ts';
import { runProgram } from '../process/run-program.ts';

/** How frames are made. */
export interface Encoding {
  /** Of zstd, 1 … 19; undefined where nothing is compressed. */
  readonly zstdLevel: number | undefined;
  /** Public keys; empty where nothing is encrypted. */
  readonly recipients: readonly string[];
}

/** The codec of an encoding, as a manifest says it. */
export function codecOf({ zstdLevel, recipients }: Encoding): Codec {
  return {
    compress: zstdLevel === undefined ? 'none' : 'zstd',
    encrypt: recipients.length === 0 ? 'none' : 'age',
  };
}

/**
 * What makes a frame of so many bytes. zstd fits its window to a size that it knows, and writes it down; frames run side by side, so that
 * threads of its own would only take memory (level 3: 54 MiB instead of 7, zstd 1.5.4).
 */
export function encodingSteps({ zstdLevel, recipients }: Encoding, bytes: number): readonly Step[] {
  const compress = zstdLevel !== undefined && {
    name: 'zstd',
    file: 'zstd',
    args: ['-q', '-c', '--single-thread', `-${zstdLevel}`, `--stream-size=${bytes}`],
  };
  const encrypt = recipients.length > 0 && {
    name: 'age',
    file: 'age',
    args: ['--encrypt', ...recipients.flatMap((key) => ['-r', key])],
  };
  return [compress, encrypt].filter((step) => step !== false);
}

/** What makes the bytes of a frame again. @param identity path of the file that age opens it with */
export function decodingSteps({ compress, encrypt }: Codec, identity: string): readonly Step[] {
  const decrypt = encrypt === 'age' && { name: 'age', file: 'age', args: ['--decrypt', '-i', identity] };
  const expand = compress === 'zstd' && { name: 'zstd', file: 'zstd', args: ['-q', '-c', '-d'] };
  return [decrypt, expand].filter((step) => step !== false);
}

/**
 * The programs of a codec, with their versions.
 * @throws ToolError when one is not installed
 */
export async function programsOf({ compress, encrypt }: Codec): Promise<Readonly<Record<string, string>>> {
  const programs = [...(compress === 'zstd' ? ['zstd'] : []), ...(encrypt === 'age' ? ['age'] : [])];
  const versions = await Promise.all(programs.map(versionOf));
  return Object.fromEntries(programs.map((program, index) => [program, versions[index] ?? '']));
}

async function versionOf(program: string): Promise<string> {
  const step = { name: `${program} --version`, file: program, args: ['--version'] };
  const said = (await runProgram(step)).toString('utf8').trim();
  const [version] = /\d+\.\d+[\w.+-]*/.exec(said) ?? [];
  // Distributions build age without a number; what it says then is still what is known.
  if (version ?? said) return version ?? said.slice(0, 64);
  throw new ToolError(`${program} --version says nothing`);
}
