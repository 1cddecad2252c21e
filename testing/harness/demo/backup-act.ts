/** The first act: a full backup, changes, an incremental backup, and a look at what is in the bucket. */
import { setTimeout as sleep } from 'node:timers/promises';
import { formatCount, formatDuration, formatSize } from '../../../lib/core/units.ts';
import { compareDigests } from '../digest-facts.ts';
import { mutateData } from '../seed-data.ts';
import { treeDigest } from '../tree-digest.ts';
import type { ManifestView } from './bucket-view.ts';
import { beginStep, describeRate, make, type Scene } from './scene.ts';

/** What the bucket holds after the first act, and what must come back out of it. */
export interface BackedUp {
  readonly full: ManifestView;
  readonly incremental: ManifestView;
  /** Digest of the data at the full backup, and a moment at which it still was like that, as AT= takes it. */
  readonly before: readonly string[];
  readonly moment: string;
  /** Digest of the data at the incremental backup. */
  readonly after: readonly string[];
}

/** Plays it; `seed` is the one that the data was made with. */
export async function playBackup(scene: Scene, seed: number): Promise<BackedUp> {
  const { narrator, places } = scene;
  const before = await treeDigest(places.data);

  beginStep(scene, 'Back everything up: read-only snapshot, btrfs send in chunks, manifest, pointer');
  const first = await make(scene, 'backup');
  const full = await newestManifest(scene, 'full');
  narrator.fact(`→ ${describeRate(full.total_bytes, first.seconds)}, ${describeCut(full)}`);

  const moment = await momentBetweenBackups();
  beginStep(scene, 'Change the data in every way that an incremental backup must carry over');
  await mutateData(places.data, { seed, round: 1 });
  const after = await treeDigest(places.data);
  const { added, removed, changed } = compareDigests(before, after);
  for (const line of [
    'created   16 files, a hard link, a symlink, two reflink copies, a directory',
    'content   appended to, overwritten in the middle, cut to nothing, extended, a hole punched',
    'names     files and a directory renamed and moved, files deleted, a file became a directory and the reverse',
    'metadata  mode, owner, ACL, attributes set, changed and removed, a symlink’s target, a time alone',
  ]) {
    narrator.fact(line);
  }
  narrator.fact(`→ ${added.length} paths are new, ${removed.length} are gone, ${changed.length} differ`);

  beginStep(scene, 'Back up again: only what changed since the last snapshot is sent');
  const second = await make(scene, 'backup');
  const incremental = await newestManifest(scene, 'incremental');
  const share = Math.round((100 * incremental.total_bytes) / full.total_bytes);
  narrator.fact(
    `→ ${formatSize(incremental.total_bytes)} in ${formatDuration(second.seconds)}, ${share}% of the full backup, ${describeCut(incremental)}`,
  );

  beginStep(scene, 'List the backups: read from the bucket alone');
  await make(scene, 'list');

  beginStep(
    scene,
    'Verify the bucket: download and hash every byte (without DEEP=1: sizes and checksums only)',
  );
  const verified = await make(scene, 'verify', 'DEEP=1');
  narrator.prove('the bucket holds what its manifests say', verified.lines.at(-1) ?? '');
  return { full, incremental, before, moment, after };
}

/** AT= counts in seconds, so the next backup must not fall into the same one. */
async function momentBetweenBackups(): Promise<string> {
  const now = new Date();
  await sleep(1000 - now.getMilliseconds());
  return now.toISOString().replace(/\.\d+/, '');
}

async function newestManifest({ bucket }: Scene, kind: 'full' | 'incremental'): Promise<ManifestView> {
  const keys = (await bucket.list())
    .map(({ key }) => key)
    .filter((key) => key.includes(`/${kind}/manifest-`));
  const newest = keys.sort().at(-1);
  if (newest === undefined) throw new Error(`make backup exited 0, but there is no ${kind} manifest`);
  return bucket.manifest(newest);
}

function describeCut({ chunks }: ManifestView): string {
  const parts = chunks.reduce((sum, chunk) => sum + (chunk.parts?.length ?? 1), 0);
  const largest = Math.max(...chunks.map(({ size }) => size));
  return `${formatCount(chunks.length, 'chunk')} of up to ${formatSize(largest)}, uploaded in ${formatCount(parts, 'part')}`;
}
