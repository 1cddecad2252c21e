/** What systemd says of a unit, and what a unit of ours says of itself. */
import { realpath } from 'node:fs/promises';
import { pathExists } from '../files/files.ts';
import { command } from './child.ts';

/** Properties by name, as `systemctl show` prints them; missing ones are empty. */
export type UnitProperties = Readonly<Record<string, string>>;

/** True where systemd runs (sd_booted(3)). */
export function hasSystemd(): Promise<boolean> {
  return pathExists('/run/systemd/system');
}

/** Reads properties of a unit; one that is not there has LoadState=not-found. */
export async function showUnit(unit: string): Promise<UnitProperties> {
  return parseProperties((await command`systemctl show ${unit}`).stdout);
}

/** Reads lines of `NAME=value`. */
export function parseProperties(text: string): UnitProperties {
  return Object.fromEntries(
    text.split('\n').flatMap((line) => {
      const at = line.indexOf('=');
      return at > 0 ? [[line.slice(0, at), line.slice(at + 1)]] : [];
    }),
  );
}

/** The settings file that a service starts a script with: in a unit, or in the ExecStart that `systemctl show` prints. */
export function configIn(text: string): string | undefined {
  return /\/scripts\/tsx\.sh scripts\/\S+\.ts --config (\S+)/.exec(text)?.[1];
}

/** True for two paths of one file; one that is not there has no other. */
export async function isSameFile(one: string, other: string): Promise<boolean> {
  const [first, second] = await Promise.all([one, other].map((path) => realpath(path).catch(() => path)));
  return first === second;
}
