/** The paths that a backup by a settings file needs, so that a service can wait for what is mounted there. */
import { placeOf } from '../../core/settings/rules.ts';
import { pathExists } from '../../edge/files/files.ts';
import { loadSettings } from './load-settings.ts';

/**
 * Subvolumes, SNAPSHOT_DIR and RUN_DIR, as far as the file names them; none where there is no file yet.
 * @throws ToolError (usage) when the file cannot be read.
 */
export async function neededPaths(file: string): Promise<readonly string[]> {
  if (!(await pathExists(file))) return [];
  const { SUBVOLUMES = [], SNAPSHOT_DIR, RUN_DIR } = (await loadSettings(file, [])).values;
  const paths = [...SUBVOLUMES.map(placeOf), SNAPSHOT_DIR, RUN_DIR];
  return [...new Set(paths.flatMap((path) => path ?? []))];
}
