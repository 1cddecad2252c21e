/** A world in which snapper or btrbk takes the snapshots, and this tool only sends them. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Manifest } from '../../lib/core/format/manifest.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { runScript } from '../support/script-within.ts';
import { readObject, type ScriptResult, type World } from './world.ts';

/** Their snapshots, and the settings under which they are backed up as `home`. */
export interface TheirWorld {
  readonly world: World;
  readonly settings: Readonly<Record<string, string | undefined>>;
  /** Takes a snapshot of a subvolume at a path, as they do. */
  take(path: string, of?: string): Promise<void>;
  /** Deletes one, as they do. */
  forget(path: string): Promise<void>;
  /** Fails unless every snapshot that they have taken and not deleted is exactly as it was. */
  assertUntouched(): Promise<void>;
}

/** Wraps a world whose snapshots match a glob below its mount point. */
export function theirSnapshots(world: World, glob: string): TheirWorld {
  const taken = new Map<string, unknown>();
  const look = async (path: string) => [
    // The list of its snapshots is of others, and the generation counts when one of it is taken.
    (await shell`btrfs subvolume show -- ${path}`).stdout.replace(
      /^\tGeneration:.*\n|^\tSnapshot\(s\):.*\n(\t{4}.*\n)*/gm,
      '',
    ),
    (await shell`btrfs property get -t subvol -- ${path} ro`).stdout,
    await treeDigest(path),
  ];
  return {
    world,
    settings: { SUBVOLUMES: `home=snapshots:${join(world.mount, glob)}`, SNAPSHOT_DIR: undefined },
    async take(path, of = world.data) {
      await mkdir(dirname(path), { recursive: true });
      await shell`btrfs subvolume snapshot -r -- ${of} ${path}`;
      taken.set(path, await look(path));
    },
    async forget(path) {
      taken.delete(path);
      await shell`btrfs subvolume delete --commit-after -- ${path}`;
    },
    async assertUntouched() {
      for (const [path, before] of taken) assert.deepEqual(await look(path), before, basename(path));
    },
  };
}

/** The snapshots of snapper: all of one name, in numbered directories. */
export async function snapper(world: World) {
  await shell`btrfs subvolume create ${join(world.mount, '.snapshots')}`;
  const at = (number: number) => join(world.mount, '.snapshots', `${number}`, 'snapshot');
  const theirs = theirSnapshots(world, '.snapshots/*/snapshot');
  const take = async (number: number) => {
    await theirs.take(at(number));
    await writeFile(join(at(number), '..', 'info.xml'), `<snapshot><num>${number}</num></snapshot>`);
  };
  return { theirs, at, take };
}

/** Writes a file into the subvolume that is snapshotted. */
export async function change(world: World, name: string, content: string | Buffer = name): Promise<void> {
  await writeFile(join(world.data, name), content);
}

/** Backs up with these settings, changed, and with options of backup.ts. */
export async function makeBackup(
  { world, settings }: TheirWorld,
  changes: Readonly<Record<string, string | undefined>> = {},
  ...options: readonly string[]
): Promise<ScriptResult> {
  const config = await world.settingsFile({ ...settings, ...changes });
  return runScript('backup.ts', ['--config', config, ...options]);
}

/** Makes a backup that must succeed, and gives the manifest of what is published last. */
export async function backedUp(theirs: TheirWorld, ...options: readonly string[]): Promise<Manifest> {
  const result = await makeBackup(theirs, {}, ...options);
  assert.equal(result.exitCode, 0, result.stderr);
  return lastManifest(theirs);
}

/** The manifest of what is published last. */
export async function lastManifest({ world }: TheirWorld): Promise<Manifest> {
  const pointer = JSON.parse(await readObject(world, 'fleet/host-1/subvol/home/current.json'));
  return JSON.parse(await readObject(world, pointer.manifest_key));
}

/** Restores a backup, and proves that it is a snapshot, to the bit. @returns what the restore said */
export async function proveIs(
  { world, settings }: TheirWorld,
  snapshot: string,
  ...selection: readonly string[]
): Promise<string> {
  const target = join(world.mount, 'restored');
  const config = await world.settingsFile(settings);
  const args = ['--config', config, '--subvolume', 'home', '--target', target, ...selection];
  const result = await runScript('restore.ts', args);
  assert.equal(result.exitCode, 0, result.stderr);
  assert.deepEqual(await treeDigest(target), await treeDigest(snapshot));
  await shell`btrfs subvolume delete --commit-after -- ${target}`;
  return result.stdout;
}
