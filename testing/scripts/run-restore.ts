/** Restores every subvolume as it was at one backup. */
import { readdir } from 'node:fs/promises';
import { relative } from 'node:path';
import { ToolError } from '../../lib/core/errors.ts';
import { formatCount } from '../../lib/core/units.ts';
import { pathExists } from '../../lib/edge/files/files.ts';
import { shell } from '../harness/processes/shell.ts';
import { demandBackups, demandS3, type StateWithS3 } from '../harness/runner/demand-setup.ts';
import { frozenAmong } from '../harness/runner/frozen.ts';
import { subvolumeNames } from '../harness/runner/places.ts';
import { runStep, type Step } from '../harness/runner/run-step.ts';
import type { RecordedBackup } from '../harness/runner/state.ts';
import { make } from '../harness/runner/tool.ts';
import { type HarnessBucket, openHarnessBucket } from '../harness/steps/bucket.ts';
import { readManifests } from '../harness/steps/manifests.ts';
import { restoredPath } from '../harness/steps/restored.ts';
import { repositoryRoot } from '../harness/test-directory.ts';

const points = ['full', 'latest'] as const;

await runStep({
  name: 'run-restore',
  summary: `Restores data, root and home. The full backup is chosen with AT=; the latest is restored with its whole chain, with
settings that name only the bucket, as on another host. Where the chunks are frozen, "make restore WAIT=0"
must say so (exit code 5) and leave nothing; "make restore" then waits for the thaw that it requested.`,
  options: {
    point: { type: 'string', value: points.join('|'), about: 'which backup (default: latest)' },
  },
  async run(step) {
    const point = points.find((name) => name === (step.options.point ?? 'latest'));
    if (!point) throw new ToolError(`--point is ${points.join(' or ')}`, { kind: 'usage' });
    const state = await demandS3(step);
    const backups = demandBackups(state);
    const bucket = await openHarnessBucket(step.places);
    try {
      for (const subvolume of subvolumeNames) {
        const own = backups.filter((backup) => backup.subvolume === subvolume);
        const chain = point === 'full' ? own.slice(0, 1) : own;
        await restore(step, state, bucket, chain, point);
      }
    } finally {
      bucket.close();
    }
  },
});

async function restore(
  step: Step<string>,
  { s3 }: StateWithS3,
  bucket: HarnessBucket,
  chain: readonly RecordedBackup[],
  point: (typeof points)[number],
): Promise<void> {
  const { places, log } = step;
  const newest = chain.at(-1);
  if (!newest) throw new Error('there is no backup to restore');
  const target = restoredPath(places, newest);
  if (await pathExists(target)) await shell`btrfs subvolume delete ${target}`;
  const choice =
    point === 'full'
      ? [`AT=${newest.created_at}`]
      : [`CONFIG=${relative(repositoryRoot, places.bareSettings)}`, `MANIFEST=${newest.manifest_key}`];
  const variables = [`SUBVOLUME=${newest.subvolume}`, `TARGET=${target}`, ...choice];
  // Only from the last full backup on: what was before it is another generation.
  const links = chain.slice(chain.findLastIndex(({ kind }) => kind === 'full'));
  const chunks = (await readManifests(bucket, links)).flatMap(({ manifest }) => manifest.chunks);
  const frozen = s3.lacks.includes('archive')
    ? []
    : await frozenAmong(
        bucket,
        chunks.map(({ key }) => key),
      );
  if (frozen.length > 0) {
    const before = await readdir(places.restored);
    await make(step, 'restore', { variables: [...variables, 'WAIT=0'], exitCode: 5 });
    const after = await readdir(places.restored);
    if (`${after}` !== `${before}`) throw new Error(`a restore that has to wait left something: ${after}`);
    log.say(`a thaw of ${formatCount(frozen.length, 'chunk')} is requested`);
  }
  await make(step, 'restore', { variables });
  log.say(`${newest.subvolume}: restored as of ${newest.created_at}, a chain of ${links.length}`);
}
