/** The second act: the data is lost, and comes back in three ways, each proved against a digest from before the loss. */
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { formatCount, formatSize } from '../../../lib/core/units.ts';
import { fromRoot } from '../workspace.ts';
import type { BackedUp } from './backup-act.ts';
import { beginStep, describeRate, make, proveEqual, type Scene, type } from './scene.ts';

/** Plays it. */
export async function playRestore(scene: Scene, backedUp: BackedUp): Promise<void> {
  const { narrator, places } = scene;

  beginStep(scene, 'Lose everything: the subvolume, all its snapshots, and what the tool keeps on this host');
  await type(scene, 'btrfs subvolume delete "$FS"/data "$FS"/snapshots/*');
  await type(scene, `rm -r ${fromRoot(places.runDirectory)}`);
  narrator.fact('→ only the bucket is left');
  narrator.fact(
    '  and, for the proofs below, a digest of each state that was taken before, by other code than the tool’s:',
  );
  narrator.fact(
    '  names, types, modes, owners, times to the nanosecond, content, links, targets, devices, attributes',
  );

  beginStep(scene, 'Restore the newest backup to a new path');
  await type(scene, 'mkdir "$FS/restored"');
  const newest = await make(scene, 'restore', 'SUBVOLUME=data', 'TARGET="$FS/restored/newest"');
  const bytes = backedUp.full.total_bytes + backedUp.incremental.total_bytes;
  narrator.fact(`→ ${describeRate(bytes, newest.seconds)}`);
  await proveEqual(
    scene,
    join(places.restored, 'newest'),
    backedUp.after,
    'the restored subvolume is equal, bit for bit, to the lost one',
  );

  beginStep(scene, 'Restore an older state: as it was before the changes');
  const at = `AT=${backedUp.moment}`;
  const earlier = await make(scene, 'restore', 'SUBVOLUME=data', at, 'TARGET="$FS/restored/earlier"');
  narrator.fact(`→ ${describeRate(backedUp.full.total_bytes, earlier.seconds)}`);
  await proveEqual(
    scene,
    join(places.restored, 'earlier'),
    backedUp.before,
    `restored ${at}: equal, bit for bit, to the state before the changes`,
  );

  await recoverByHand(scene, backedUp);
}

/** Without the tool: what anyone with the keys to the bucket can do, as RESTORE.txt in the bucket explains. */
async function recoverByHand(scene: Scene, { full, before }: BackedUp): Promise<void> {
  const { narrator, places, bucket } = scene;
  beginStep(scene, 'Recover by hand, without this tool: plain GETs, sha256sum, cat, btrfs receive');
  await mkdir(places.byHand);
  for (const { key, size } of full.chunks) {
    await bucket.download(key, join(places.byHand, basename(key)));
    narrator.fact(`GET ${key}  ${formatSize(size)}`);
  }
  const sums = full.chunks.map(({ key, sha256 }) => `${sha256}  ${basename(key)}\n`);
  await writeFile(join(places.byHand, 'SHA256SUMS'), sums.join(''));
  narrator.fact('SHA256SUMS, written from the hashes in the manifest');
  const folder = fromRoot(places.byHand);
  await type(scene, `cd ${folder} && sha256sum --check SHA256SUMS`);
  await type(scene, 'mkdir "$FS/restored/by-hand"');
  await type(scene, `cat ${folder}/chunk-*.bin | btrfs receive "$FS/restored/by-hand"`);
  await proveEqual(
    scene,
    join(places.restored, 'by-hand', `data__${full.created_at}__full`),
    before,
    `recovered by hand from ${formatCount(full.chunks.length, 'chunk')}: equal, bit for bit, to the state before the changes`,
  );
}
