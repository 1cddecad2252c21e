/** recover.sh: the script in the bucket that restores without this tool. */
import { addressingStyle, type RecoveryPlace } from './recovery-place.ts';
import { shellWord } from './shell-word.ts';

/** Where the script is in a checkout; it is filled in for each prefix. */
export const RECOVER_TEMPLATE = 'config/recover.sh';

/**
 * The script for one bucket and prefix.
 * @param template what stands at RECOVER_TEMPLATE, with `'@NAME@'` where a value goes
 * @throws Error for a template that asks for something else
 */
export function recoverScript(template: string, place: RecoveryPlace): string {
  const values: Readonly<Record<string, string>> = {
    BUCKET: place.bucket,
    PREFIX: place.prefix,
    REGION: place.region,
    ENDPOINT: place.endpoint ?? '',
    ADDRESSING: addressingStyle(place) ?? '',
  };
  // In one go, so that no value is looked at again.
  return template.replace(/'@([A-Z]+)@'/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`${RECOVER_TEMPLATE} asks for ${name}`);
    return shellWord(value);
  });
}
