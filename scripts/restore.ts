/** Restores one backup of one subvolume to a path that does not exist yet. */
import { readRestoreOptions, restoreOptions } from '../lib/cli/options/restore-options.ts';
import { runScript } from '../lib/cli/run-script.ts';
import { printable } from '../lib/core/printable.ts';
import { formatCount, formatDuration, formatSize } from '../lib/core/units.ts';

await runScript({
  file: 'restore.ts',
  summary:
    'Restores a subvolume from its chain in the bucket; archived chunks are thawed, and every part is verified before btrfs receive sees it. A restore that was stopped goes on.',
  options: restoreOptions,
  needs: 'bucket',
  locked: false,
  async run({ context, options, json }) {
    const { restoreBackup } = await import('../lib/stage/restore/restore.ts');
    const { abandonRestore } = await import('../lib/stage/restore/leave.ts');
    const { whatToSet } = await import('../lib/stage/restore/continue-chain.ts');
    const { describeMissing } = await import('../lib/stage/restore/nested-backups.ts');
    const wish = readRestoreOptions(options, context.settings.VERIFY_MODE);
    if (wish.mode === 'abandon') {
      const told = await abandonRestore(wish.target);
      console.log(json ? JSON.stringify({ target: wish.target, told }) : told);
      return 0;
    }
    const { subvolume, target } = wish.request;
    const startedMs = Date.now();
    const restored = await restoreBackup(context, wish.request);
    const chain = restored.chain.map(({ key }) => key);
    const { bytes, proofs, missing, continued } = restored;
    for (const line of describeMissing(missing)) context.log.warn(line);
    if (json) console.log(JSON.stringify({ subvolume, target, chain, bytes, proofs, missing, continued }));
    else {
      console.log(
        `restored ${subvolume} to ${target}: ${formatCount(chain.length, 'backup')}, ${formatSize(bytes)} in ${formatDuration((Date.now() - startedMs) / 1000)}`,
      );
      for (const proof of proofs) console.log(`  ${printable(proof)}`);
      if (continued) console.log(`  the next backup builds on ${printable(continued)}`);
    }
    for (const line of continued ? whatToSet(context, subvolume, target) : []) context.log.warn(line);
    return 0;
  },
});
