/** Compares what was restored with what was backed up, to the bit. */
import { readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { pathExists } from '../../lib/edge/files/files.ts';
import { demandEqual } from '../harness/digest-facts.ts';
import { demandBackups, demandS3 } from '../harness/runner/demand-setup.ts';
import { subvolumeNames } from '../harness/runner/places.ts';
import { runStep } from '../harness/runner/run-step.ts';
import { startChecks } from '../harness/steps/check.ts';
import { expectedDigest } from '../harness/steps/record-backups.ts';
import { restoredPath } from '../harness/steps/restored.ts';
import { treeDigest } from '../harness/tree-digest.ts';

await runStep({
  name: 'verify-restore',
  summary: `Compares every restored subvolume with the digest of the snapshot that was backed up: names, content, modes, owners,
times, links, attributes. The first and the last backup of each subvolume must have been restored.`,
  async run(step) {
    const { places, log } = step;
    const backups = demandBackups(await demandS3(step));
    const checks = startChecks(log);
    const compared: string[] = [];
    for (const backup of backups) {
      const path = restoredPath(places, backup);
      if (!(await pathExists(path))) continue;
      demandEqual(await expectedDigest(places, backup), await treeDigest(path), path);
      compared.push(basename(path));
    }
    for (const subvolume of subvolumeNames) {
      const own = backups.filter((backup) => backup.subvolume === subvolume);
      for (const backup of [own[0], own.at(-1)]) {
        const name = backup && basename(restoredPath(places, backup));
        checks.hold(compared.includes(`${name}`), `${name} was restored, and is equal to its snapshot`);
      }
    }
    const there = (await readdir(places.restored)).sort();
    checks.hold(`${there}` === `${compared.sort()}`, 'no restore left anything beside its target', there);
    checks.finish(`${compared.length} restored subvolumes`);
  },
});
