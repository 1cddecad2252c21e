/** Where everything of a harness run is. Only logs and the lock stay when it is over. */
import { join } from 'node:path';

/** The subvolumes of the filesystem, by name. */
export const subvolumeNames = ['data', 'root', 'home'] as const;

/** Absolute paths. */
export interface Places {
  readonly runDirectory: string;
  readonly state: string;
  readonly logs: string;
  readonly filesystem: string;
  readonly mountPoint: string;
  readonly snapshots: string;
  readonly restored: string;
  /** The tool's settings. */
  readonly toolSettings: string;
  /** Settings as another host would have them: where the bucket is, and nothing of this host. */
  readonly bareSettings: string;
  readonly toolRun: string;
  readonly server: string;
  /** Digests of the snapshots that were backed up. */
  readonly expected: string;
  /** Where the tool leaves copies of its manifests. */
  readonly manifests: string;
}

/** Everything that a run makes in its directory, and that its end removes. */
export const transient = [
  'filesystem',
  'server',
  'tool-run',
  'expected',
  'manifests',
  'tool.env',
  'restore.env',
] as const;

/** The places of a run, given its directory. */
export function placesIn(runDirectory: string): Places {
  const at = (...names: readonly string[]) => join(runDirectory, ...names);
  return {
    runDirectory,
    state: at('harness.json'),
    logs: at('logs'),
    filesystem: at('filesystem'),
    mountPoint: at('filesystem', 'mount'),
    snapshots: at('filesystem', 'mount', 'snapshots'),
    restored: at('filesystem', 'mount', 'restored'),
    toolSettings: at('tool.env'),
    bareSettings: at('restore.env'),
    toolRun: at('tool-run'),
    server: at('server'),
    expected: at('expected'),
    manifests: at('manifests'),
  };
}
