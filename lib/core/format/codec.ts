/** The codec of a backup: by which programs its frames were made. A chain may hold backups of several codecs; each manifest says its own. */
import { z } from 'zod';

const compressions = ['none', 'zstd'] as const;
const encryptions = ['none', 'age'] as const;

/** `codec` of a manifest. */
export const codecSchema = z.object({
  compress: z.enum(compressions),
  encrypt: z.enum(encryptions),
});

export type Codec = z.output<typeof codecSchema>;

/** A backup whose parts are pieces of the stream as they are. */
export const PLAIN: Codec = { compress: 'none', encrypt: 'none' };

/** True where chunks hold frames, and not pieces of the stream. */
export function isEncoded({ compress, encrypt }: Codec): boolean {
  return compress !== 'none' || encrypt !== 'none';
}

/** As zstd itself has it. */
const defaultZstdLevel = 3;

/** The level that COMPRESS asks for (`zstd`, `zstd:19`); undefined where nothing is to be compressed. */
export function zstdLevelOf(compress: string): number | undefined {
  const [program, level = defaultZstdLevel] = compress.split(':');
  return program === 'zstd' ? Number(level) : undefined;
}

const known: Readonly<Record<string, readonly unknown[]>> = { compress: compressions, encrypt: encryptions };

/** The first step of a codec, by its name and what it says, that this version cannot undo; undefined when it knows all of them. */
export function unknownStep(codec: unknown): readonly [step: string, how: unknown] | undefined {
  if (codec === undefined || codec === null) return undefined;
  const steps: readonly [string, unknown][] =
    typeof codec === 'object' ? Object.entries(codec) : [['codec', codec]];
  return steps.find(([step, how]) => !(Object.hasOwn(known, step) ? known[step] : ['none'])?.includes(how));
}
