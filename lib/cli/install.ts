/** What `make install-systemd` and `make uninstall` do, and say. */
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { installUnits, type UnitPlaces, uninstallUnits } from '../edge/files/systemd-units.ts';
import { manPage } from './man-page.ts';
import { neededPaths, settingsFor } from './options/needed-paths.ts';
import { whatStays } from './reports/uninstall-report.ts';

/** Which settings, and where to. */
export interface Installation {
  readonly config: string;
  readonly places: UnitPlaces;
}

/** Installs units and manual page. @returns the report @throws ToolError */
export async function install(
  checkout: string,
  { config, places }: Installation,
): Promise<readonly string[]> {
  const settings = await settingsFor(config);
  const manual = manPage(await readFile(join(checkout, 'Makefile'), 'utf8'), checkout);
  const prunes = (settings.PRUNE_EVERY ?? 'never') !== 'never';
  return installUnits(checkout, config, places, { needed: neededPaths(settings), prunes, manual });
}

/** Removes them. @returns what stays; nothing for a package, whose host is another one @throws ToolError */
export async function uninstall({ config, places }: Installation): Promise<readonly string[]> {
  await uninstallUnits(places);
  if (places.destdir) return [];
  // With settings that cannot be read it is removed all the same.
  const settings = await settingsFor(config).catch(() => ({}));
  return whatStays(settings, hostname(), config);
}
