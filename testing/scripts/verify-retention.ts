/** Checks which snapshots were kept on the filesystem, and that nothing left the bucket. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { shell } from '../harness/processes/shell.ts';
import { demandBackups, demandS3 } from '../harness/runner/demand-setup.ts';
import { subvolumeNames } from '../harness/runner/places.ts';
import { runStep } from '../harness/runner/run-step.ts';
import { openHarnessBucket } from '../harness/steps/bucket.ts';
import { startChecks } from '../harness/steps/check.ts';
import { readManifests } from '../harness/steps/manifests.ts';

await runStep({
  name: 'verify-retention',
  summary: `Checks that KEEP_SNAPSHOTS read-only snapshots of each subvolume are left, the parent of the next backup among them,
and that every backup is still in the bucket.`,
  async run(step) {
    const { places, log, settings } = step;
    const backups = demandBackups(await demandS3(step));
    const keep = Number(settings.tool.KEEP_SNAPSHOTS ?? 2);
    const bucket = await openHarnessBucket(places);
    try {
      const manifests = await readManifests(bucket, backups);
      const checks = startChecks(log);
      const here = await readdir(places.snapshots);
      for (const subvolume of subvolumeNames) {
        const chain = manifests.filter(({ backup }) => backup.subvolume === subvolume);
        const expected = chain.slice(-keep).map(({ manifest }) => manifest.snapshot.name);
        const kept = here.filter((name) => name.startsWith(`${subvolume}__`)).sort();
        checks.hold(
          `${kept}` === `${expected.sort()}`,
          `${subvolume}: the newest ${keep} snapshots are kept`,
          kept,
        );
        for (const name of kept) {
          const { uuid, readOnly } = await look(join(places.snapshots, name));
          const manifest = chain.find((each) => each.manifest.snapshot.name === name)?.manifest;
          checks.hold(readOnly, `${name} is read-only`);
          checks.hold(uuid === manifest?.snapshot.uuid, `${name} is the one that was sent`, uuid);
        }
      }
      checks.hold(
        here.every((name) => /^(data|root|home)__/.test(name)),
        'nothing else is there',
        here,
      );
      checks.finish(`${here.length} snapshots, ${backups.length} backups`);
    } finally {
      bucket.close();
    }
  },
});

async function look(
  path: string,
): Promise<{ readonly uuid: string | undefined; readonly readOnly: boolean }> {
  const { stdout } = await shell`btrfs subvolume show ${path}`;
  return { uuid: /^\s*UUID:\s+(\S+)/m.exec(stdout)?.[1], readOnly: /^\s*Flags:.*\breadonly\b/m.test(stdout) };
}
