/** Which scripts are runs to report, and what they run. */
import type { OptionValues } from '../options/parse-options.ts';

/** A run that is recorded. */
export interface WatchedCommand {
  /** As make calls it. */
  readonly command: string;
  /**
   * `all`: its start and its end are pinged. `failures`: others than backups ping only what fails, because their success would hide
   * that backups have stopped. `none`: a stage of a backup.
   */
  readonly pings: 'all' | 'failures' | 'none';
}

const byScript: Readonly<Record<string, WatchedCommand>> = {
  'backup.ts': { command: 'backup', pings: 'all' },
  'snapshot.ts': { command: 'snapshot', pings: 'none' },
  'send-chunk-upload.ts': { command: 'upload', pings: 'none' },
  'manifest.ts': { command: 'publish', pings: 'none' },
  'verify.ts': { command: 'verify', pings: 'failures' },
  'drill.ts': { command: 'drill', pings: 'failures' },
  'prune.ts': { command: 'prune', pings: 'failures' },
};

/** What is recorded of a script with these options; undefined for one that only looks. */
export function watchedCommand(file: string, options: OptionValues<string>): WatchedCommand | undefined {
  if ('dry-run' in options || (file === 'prune.ts' && !('apply' in options))) return undefined;
  return byScript[file];
}
