/** Checks every manifest of the run, without the tool's own code. */
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { demandBackups, demandS3 } from '../harness/runner/demand-setup.ts';
import { subvolumeNames } from '../harness/runner/places.ts';
import { runStep } from '../harness/runner/run-step.ts';
import { openHarnessBucket } from '../harness/steps/bucket.ts';
import { type Checks, startChecks } from '../harness/steps/check.ts';
import { type ManifestOfRun, readManifests } from '../harness/steps/manifests.ts';
import { pointedManifest } from '../harness/steps/record-backups.ts';

await runStep({
  name: 'verify-manifest',
  summary: `Checks the manifests in the bucket: the JSON Schema, sizes and order of their chunks, the links of each chain, the
pointers, and the copies that the tool left in the run's directory.`,
  async run({ places, log, settings }) {
    const backups = demandBackups(await demandS3({ places, settings }));
    const bucket = await openHarnessBucket(places);
    try {
      const manifests = await readManifests(bucket, backups);
      const checks = startChecks(log);
      for (const each of manifests) checkChunks(checks, each);
      for (const subvolume of subvolumeNames) {
        const chain = manifests.filter(({ backup }) => backup.subvolume === subvolume);
        checkChain(checks, chain);
        const newest = chain.at(-1)?.backup.manifest_key;
        checks.hold(
          (await pointedManifest(bucket, subvolume)) === newest,
          `${subvolume}: the pointer names the newest`,
        );
      }
      const copies = await Promise.all(
        (await readdir(places.manifests)).map((name) => readFile(join(places.manifests, name), 'utf8')),
      );
      const texts = manifests.map(({ text }) => text);
      checks.hold(
        texts.every((text) => copies.includes(text)),
        'the tool left a copy of each manifest',
      );
      checks.hold(copies.length === texts.length, 'there are no other copies', copies.length);
      checks.finish(`${manifests.length} manifests`);
    } finally {
      bucket.close();
    }
  },
});

function checkChunks(checks: Checks, { backup, manifest }: ManifestOfRun): void {
  const at = basename(backup.manifest_key);
  const { chunks, total_bytes, chunk_size, created_at, subvolume, kind } = manifest;
  checks.hold(
    subvolume === backup.subvolume && kind === backup.kind && created_at === backup.created_at,
    `${at} is the manifest of its key`,
  );
  checks.hold(chunks.reduce((sum, { size }) => sum + size, 0) === total_bytes, `${at}: the sizes add up`);
  checks.hold(
    chunks.slice(0, -1).every(({ size }) => size === chunk_size) && (chunks.at(-1)?.size ?? 0) <= chunk_size,
    `${at}: every chunk but the last is full`,
  );
  const folder = backup.manifest_key.slice(0, backup.manifest_key.lastIndexOf('/'));
  checks.hold(
    chunks.every(
      ({ key }, index) => key === `${folder}/chunk-${created_at}-${String(index).padStart(5, '0')}.bin`,
    ),
    `${at}: the keys are contiguous`,
  );
  checks.hold(
    chunks.every(({ size, part_size, parts }) => parts?.length === Math.ceil(size / (part_size ?? 1))),
    `${at}: every part has a digest`,
  );
}

function checkChain(checks: Checks, chain: readonly ManifestOfRun[]): void {
  for (const [index, { manifest, backup }] of chain.entries()) {
    const parent = manifest.kind === 'full' ? undefined : chain[index - 1];
    const at = basename(backup.manifest_key);
    checks.hold(index > 0 || manifest.kind === 'full', `${at}: the chain begins in full`);
    checks.hold(manifest.parent_manifest === (parent?.backup.manifest_key ?? null), `${at} names its parent`);
    checks.hold(
      (manifest.snapshot.parent_uuid ?? null) === (parent?.manifest.snapshot.uuid ?? null),
      `${at} was made against the snapshot of its parent`,
    );
  }
}
