/** What the bucket says after a backup, written down together with a digest of what was backed up. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { demandEqual } from '../digest-facts.ts';
import { type Places, subvolumeNames } from '../runner/places.ts';
import type { Step } from '../runner/run-step.ts';
import { type RecordedBackup, type State, writeState } from '../runner/state.ts';
import { treeDigest } from '../tree-digest.ts';
import { type HarnessBucket, openHarnessBucket } from './bucket.ts';

const pointerSchema = z.object({ manifest_key: z.string(), kind: z.string(), created_at: z.string() });
const snapshotSchema = z.object({ snapshot: z.object({ path: z.string() }) });

/** The key of the manifest that a subvolume's pointer names, or undefined before the first backup. */
export async function pointedManifest(bucket: HarnessBucket, subvolume: string): Promise<string | undefined> {
  const text = await bucket.readText(`${bucket.prefix}/subvol/${subvolume}/current.json`);
  return text === undefined ? undefined : pointerSchema.parse(JSON.parse(text)).manifest_key;
}

/** Digests of the subvolumes, by name: to be taken before the tool runs. */
export type LiveDigests = Readonly<Record<(typeof subvolumeNames)[number], readonly string[]>>;

/** Looks at every subvolume. */
export async function digestSubvolumes({ mountPoint }: Places): Promise<LiveDigests> {
  const digests: [string, readonly string[]][] = [];
  for (const name of subvolumeNames) digests.push([name, await treeDigest(join(mountPoint, name))]);
  return Object.fromEntries(digests) as LiveDigests;
}

/**
 * Adds the newest backup of every subvolume to the record, with a digest of what was backed up.
 * @param live what the subvolumes held before the backup.
 * @throws when a subvolume has no new backup, one of another kind, or a snapshot that is not what the subvolume was.
 */
export async function recordBackups(
  { places, log }: Step<string>,
  state: State,
  kind: RecordedBackup['kind'],
  live: LiveDigests,
): Promise<State> {
  const bucket = await openHarnessBucket(places);
  try {
    const found: RecordedBackup[] = [];
    for (const subvolume of subvolumeNames) {
      const text = await bucket.readText(`${bucket.prefix}/subvol/${subvolume}/current.json`);
      const pointer = pointerSchema.parse(JSON.parse(text ?? '{}'));
      if (pointer.kind !== kind)
        throw new Error(`the backup of ${subvolume} is ${pointer.kind}, not ${kind}`);
      if (state.backups.some(({ manifest_key }) => manifest_key === pointer.manifest_key)) {
        throw new Error(`${subvolume} has no new backup: the pointer still names ${pointer.manifest_key}`);
      }
      const manifest: unknown = JSON.parse((await bucket.readText(pointer.manifest_key)) ?? '{}');
      const { path } = snapshotSchema.parse(manifest).snapshot;
      demandEqual(live[subvolume], await treeDigest(path), path);
      const backup = { subvolume, kind, manifest_key: pointer.manifest_key, created_at: pointer.created_at };
      await writeFile(digestPath(places, backup), JSON.stringify(live[subvolume]));
      found.push(backup);
      log.say(`${subvolume}: ${kind} backup ${pointer.created_at}, ${live[subvolume].length} entries`);
    }
    const next = { ...state, backups: [...state.backups, ...found] };
    await writeState(places, next);
    return next;
  } finally {
    bucket.close();
  }
}

/** The digest of the subvolume that a backup was made of, taken before it. */
export async function expectedDigest(places: Places, backup: RecordedBackup): Promise<readonly string[]> {
  return z.array(z.string()).parse(JSON.parse(await readFile(digestPath(places, backup), 'utf8')));
}

function digestPath({ expected }: Places, { subvolume, created_at }: RecordedBackup): string {
  return join(expected, `${subvolume}-${created_at}.json`);
}
