/** Checks what is in the bucket, without the tool's own code; then lets the tool check it. */
import { createHash } from 'node:crypto';
import { type HarnessBucket, openHarnessBucket } from '../harness/steps/bucket.ts';
import { type Checks, startChecks } from '../harness/steps/check.ts';
import { demandBackups, demandS3, type StateWithS3 } from '../harness/steps/demand-setup.ts';
import { type ManifestOfRun, readManifests } from '../harness/steps/manifests.ts';
import { subvolumeNames } from '../harness/steps/places.ts';
import { runStep, type Step } from '../harness/steps/run-step.ts';
import { isFrozen } from '../harness/steps/thaw.ts';
import { make } from '../harness/steps/tool.ts';

await runStep({
  name: 'verify-s3',
  summary: `Checks that the bucket holds what the manifests name and nothing else: size, storage class, encryption and checksum
of every chunk, and its bytes where they can be read; no unfinished upload. Then "make verify DEEP=1".`,
  async run(step) {
    const { places, log } = step;
    const state = await demandS3(step);
    const bucket = await openHarnessBucket(places);
    try {
      const manifests = await readManifests(bucket, demandBackups(state));
      const checks = startChecks(log);
      const named = [
        ...manifests.flatMap(({ backup, manifest }) => [
          backup.manifest_key,
          ...manifest.chunks.map(({ key }) => key),
        ]),
        ...subvolumeNames.map((name) => `${bucket.prefix}/subvol/${name}/current.json`),
        `${bucket.prefix}/RESTORE.txt`,
      ];
      const there = (await bucket.list()).map(({ key }) => key);
      checks.hold(new Set(there).size === there.length, 'no key is listed twice');
      const [missing, strange] = [without(named, there), without(there, named)];
      checks.hold(missing.length === 0, 'everything that is named is there', missing);
      checks.hold(strange.length === 0, 'nothing else is there', strange);
      checks.hold((await bucket.uploads()).length === 0, 'no upload is unfinished');
      let frozen = 0;
      for (const each of manifests) frozen += await checkObjects(checks, step, state, bucket, each);
      checks.finish(`${there.length} objects, ${frozen} of them frozen`);
      await make(step, 'verify', { variables: frozen > 0 ? [] : ['DEEP=1'] });
    } finally {
      bucket.close();
    }
  },
});

function without(keys: readonly string[], others: readonly string[]): string[] {
  const known = new Set(others);
  return keys.filter((key) => !known.has(key));
}

/** @returns how many of the chunks cannot be read before they are thawed */
async function checkObjects(
  checks: Checks,
  { settings }: Step<string>,
  { s3 }: StateWithS3,
  bucket: HarnessBucket,
  { manifest }: ManifestOfRun,
): Promise<number> {
  const { STORAGE_CLASS_CHUNKS: storageClass = 'DEEP_ARCHIVE', SSE: sse = 'AES256' } = settings.tool;
  let frozen = 0;
  for (const { key, size, sha256, part_size = size, parts = [], checksum } of manifest.chunks) {
    const head = await bucket.head(key);
    const at = key.slice(bucket.prefix.length + 1);
    checks.hold(head.ContentLength === size, `${at} has its size`, head.ContentLength);
    checks.hold((head.StorageClass ?? 'STANDARD') === storageClass, `${at} has its class`, head.StorageClass);
    if (sse !== 'none' && !s3.lacks.includes('encryption')) {
      checks.hold(head.ServerSideEncryption === sse, `${at} is encrypted`, head.ServerSideEncryption);
    }
    if (!s3.lacks.includes('checksums')) {
      const expected = size > part_size ? composite(parts) : parts[0];
      checks.hold(head.ChecksumSHA256 === expected, `${at}: S3 keeps its SHA-256`, head.ChecksumSHA256);
      checks.hold(size <= part_size || checksum === expected, `${at}: the manifest names it`, checksum);
    }
    if (isFrozen(head) && !s3.lacks.includes('archive')) frozen += 1;
    else checks.hold(hashOf(await bucket.read(key)) === sha256, `${at} has its bytes`);
  }
  return frozen;
}

/** The SHA-256 of the parts' SHA-256s, and their number: what S3 calls a composite checksum. */
function composite(parts: readonly string[]): string {
  const whole = createHash('sha256');
  for (const part of parts) whole.update(Buffer.from(part, 'base64'));
  return `${whole.digest('base64')}-${parts.length}`;
}

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
