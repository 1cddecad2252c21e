/** Settings for tests: what a file with these keys would give. */
import { resolveSettings, type SettingValues } from '../../lib/core/settings/settings.ts';

/** The settings of `KEY: value` pairs, with the defaults of all others. */
export function settingsOf(values: Readonly<Record<string, string>>): SettingValues {
  const lines = Object.entries(values).map(([key, value]) => ({ key, value, line: 0 }));
  const { values: settings, problems } = resolveSettings(lines);
  if (problems.length > 0) throw new Error(JSON.stringify(problems));
  return settings;
}
