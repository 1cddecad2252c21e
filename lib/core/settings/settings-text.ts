/** A settings file as make init writes it: what was chosen, and what each line means. */

import { notesOf } from './keys.ts';
import { readSettingLine } from './lines.ts';
import { isSettingKey } from './settings.ts';

/** The text of a file. @throws RangeError for a value that no line can hold */
export function settingsText(values: ReadonlyMap<string, string>, notes: readonly string[]): string {
  const lines = ['# Settings of btrfs-to-s3, written by make init. config/README.md explains every key.'];
  for (const [key, value] of values) {
    const about = isSettingKey(key) ? notesOf(key).about : undefined;
    lines.push('', ...(about === undefined ? [] : [`# ${about}`]), lineOf(key, value));
  }
  return `${[...lines, ...notes.flatMap((note) => ['', `# ${note}`])].join('\n')}\n`;
}

/** A line that reads as the value: as it is, or in quotes where dotenv would read it in another way. */
function lineOf(key: string, value: string): string {
  for (const written of [value, `'${value}'`, `"${value}"`, `\`${value}\``]) {
    const line = `${key}=${written}`;
    const read = readSettingLine(line);
    if (!('reason' in read) && read.value === value) return line;
  }
  throw new RangeError(`${key} has quotes of all kinds, or a line break`);
}
