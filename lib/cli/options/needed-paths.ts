/** The paths that a backup by a settings file needs, so that a service can wait for what is mounted there. */
import { placeOf } from '../../core/settings/rules.ts';
import type { SettingValues } from '../../core/settings/settings.ts';
import { pathExists } from '../../edge/files/files.ts';
import { loadSettings } from './load-settings.ts';

/** The settings of a file, as far as there is one. @throws ToolError (usage) when it cannot be read */
export async function settingsFor(file: string): Promise<Partial<SettingValues>> {
  return (await pathExists(file)) ? (await loadSettings(file, [])).values : {};
}

/**
 * Subvolumes, SNAPSHOT_DIR and RUN_DIR, as far as the file names them; none where there is no file yet.
 */
export function neededPaths({
  SUBVOLUMES = [],
  SNAPSHOT_DIR,
  RUN_DIR,
}: Partial<SettingValues>): readonly string[] {
  const paths = [...SUBVOLUMES.map(placeOf), SNAPSHOT_DIR, RUN_DIR];
  return [...new Set(paths.flatMap((path) => path ?? []))];
}
