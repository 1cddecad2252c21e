/** What the acts of a demonstration share: where things are, who speaks, and how a tree is proved to be what it was. */
import { join } from 'node:path';
import { formatDuration, formatSize } from '../../../lib/core/units.ts';
import { demandEqual, describeDigest } from '../digest-facts.ts';
import type { CommandOutcome } from '../processes/run-command.ts';
import { treeDigest } from '../tree-digest.ts';
import { fromRoot, type Workspace } from '../workspace.ts';
import type { BucketView } from './bucket-view.ts';
import { runLine } from './command.ts';
import type { Narrator } from './narrator.ts';

/** The paths of a demonstration. */
export interface Places {
  readonly mountPoint: string;
  readonly data: string;
  readonly snapshots: string;
  readonly restored: string;
  readonly settings: string;
  readonly runDirectory: string;
  readonly serverData: string;
  readonly byHand: string;
}

/** One demonstration while it runs. */
export interface Scene {
  readonly narrator: Narrator;
  readonly signal: AbortSignal;
  readonly places: Places;
  readonly bucket: BucketView;
  readonly environment: Workspace['environment'];
}

/** Where everything of one demonstration is, given its folder and its filesystem. */
export function placesOf(workspace: string, mountPoint: string): Places {
  return {
    mountPoint,
    data: join(mountPoint, 'data'),
    snapshots: join(mountPoint, 'snapshots'),
    restored: join(mountPoint, 'restored'),
    settings: join(workspace, 'backup.env'),
    runDirectory: join(workspace, 'run'),
    serverData: join(workspace, 's3'),
    byHand: join(workspace, 'by-hand'),
  };
}

/** Begins a step, unless the run was stopped. */
export function beginStep({ narrator, signal }: Scene, title: string): void {
  signal.throwIfAborted();
  narrator.step(title);
}

/** Types a command line, in which FS is the mount point, and shows what it answers. */
export function type(scene: Scene, line: string): Promise<CommandOutcome> {
  const { narrator, signal, places } = scene;
  return runLine(line, { narrator, signal, environment: { ...scene.environment, FS: places.mountPoint } });
}

/** Types a `make` target with the settings of this demonstration, and variables as a person would give them. */
export function make(scene: Scene, target: string, ...variables: readonly string[]): Promise<CommandOutcome> {
  return type(scene, ['make', target, `CONFIG=${fromRoot(scene.places.settings)}`, ...variables].join(' '));
}

/** Proves that a tree is, to the bit, the one of which `expected` is the digest. */
export async function proveEqual(
  { narrator }: Scene,
  path: string,
  expected: readonly string[],
  claim: string,
): Promise<void> {
  const actual = await treeDigest(path);
  demandEqual(expected, actual, path);
  narrator.prove(claim, `compared: ${describeDigest(actual)}`);
}

/** `4.20 MiB in 2s (2.10 MiB/s)`; with so few bytes, much of the time is the start of the programs. */
export function describeRate(bytes: number, seconds: number): string {
  return `${formatSize(bytes)} in ${formatDuration(seconds)} (${formatSize(Math.round(bytes / seconds))}/s)`;
}
