/** Checks what is in the bucket, without the tool's own code; then lets the tool check it. */

import { demandBackups, demandS3 } from '../harness/runner/demand-setup.ts';
import { subvolumeNames } from '../harness/runner/places.ts';
import { runStep } from '../harness/runner/run-step.ts';
import { make } from '../harness/runner/tool.ts';
import { openHarnessBucket } from '../harness/steps/bucket.ts';
import { startChecks } from '../harness/steps/check.ts';
import { readManifests } from '../harness/steps/manifests.ts';
import { checkDocument, checkObjects, checkOrder, isRecoveryText } from '../harness/steps/object-checks.ts';
import { servedRequests } from '../harness/steps/served-requests.ts';

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
        `${bucket.prefix}/recover.sh`,
      ];
      const there = (await bucket.list()).map(({ key }) => key);
      checks.hold(new Set(there).size === there.length, 'no key is listed twice');
      const [missing, strange] = [without(named, there), without(there, named)];
      checks.hold(missing.length === 0, 'everything that is named is there', missing);
      checks.hold(strange.length === 0, 'nothing else is there', strange);
      checks.hold((await bucket.uploads()).length === 0, 'no upload is unfinished');
      let frozen = 0;
      for (const each of manifests) frozen += await checkObjects(checks, step, state, bucket, each);
      const documents = named.filter((key) => !key.endsWith('.bin'));
      for (const key of documents) await checkDocument(checks, step, state, bucket, key);
      checks.hold(
        isRecoveryText(bucket, await bucket.readText(`${bucket.prefix}/RESTORE.txt`)),
        'RESTORE.txt helps',
      );
      const script = await bucket.readText(`${bucket.prefix}/recover.sh`);
      checks.hold(script?.includes(`\nbucket=${bucket.name}\n`) === true, 'recover.sh is of this bucket');
      const served = await servedRequests(places, state);
      if (served)
        for (const { manifest, backup } of manifests) checkOrder(checks, served, manifest, backup, bucket);
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
