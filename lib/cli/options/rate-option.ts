/** RATE: how fast an upload is expected to be. */
import { ToolError } from '../../core/errors.ts';
import { parseRate } from '../../core/rate.ts';
import type { OptionDefinition } from './help.ts';

/** The option. */
export const rateOption = {
  type: 'string',
  value: 'RATE',
  about: 'upload rate to expect, such as 20Mbit or 2MiB (default: the last one)',
} as const satisfies OptionDefinition;

/** Bytes a second, and where they are from; undefined where none is given. @throws ToolError (usage) for what is no rate */
export function readRate(
  text: string | undefined,
): { readonly bytesPerSecond: number; readonly of: string } | undefined {
  if (text === undefined) return undefined;
  const bytesPerSecond = parseRate(text);
  if (bytesPerSecond !== undefined) return { bytesPerSecond, of: `RATE=${text}` };
  throw new ToolError(`RATE=${text} is not a rate`, {
    kind: 'usage',
    hint: 'write 20Mbit (bits) or 2MiB (bytes), of a second',
  });
}
