/** What systemd says of a unit. */
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
