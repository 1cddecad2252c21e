/** Restores one backup of one subvolume to a path that does not exist yet, or all subvolumes below one directory. */
import { readRestoreOptions, restoreOptions } from '../lib/cli/options/restore-options.ts';
import { restoreDocument, restoreLines } from '../lib/cli/reports/restore-report.ts';
import { runScript } from '../lib/cli/run-script.ts';

await runScript({
  file: 'restore.ts',
  summary:
    'Restores a subvolume from its chain in the bucket; archived chunks are thawed, and every part is verified before btrfs receive sees it. A restore that was stopped goes on.',
  options: restoreOptions,
  needs: 'bucket',
  root: true,
  locked: false,
  async run({ context, options, json, forEachOf }) {
    const { restoreBackup } = await import('../lib/stage/restore/restore.ts');
    const { openRestoreOfAll } = await import('../lib/stage/restore/restore-all.ts');
    const { abandonRestore } = await import('../lib/stage/restore/staging/leave.ts');
    const { whatToSet } = await import('../lib/stage/restore/continue-chain.ts');
    const { describeMissing } = await import('../lib/stage/restore/nested-backups.ts');
    const asked = readRestoreOptions(options, context.settings.VERIFY_MODE);
    if (asked.mode === 'abandon') {
      const done = await abandonRestore(asked.target);
      console.log(json ? JSON.stringify({ target: asked.target, message: done }) : done);
      return 0;
    }
    type Outcome = Awaited<ReturnType<typeof restoreBackup>>;
    const report = (
      subvolume: string,
      target: string,
      outcome: Outcome,
      seconds: number,
      names: string[],
    ) => {
      for (const line of describeMissing(outcome.missing, names)) context.log.warn(line);
      if (!json) console.log(restoreLines({ subvolume, target, outcome }, seconds).join('\n'));
      if (!outcome.continued) return;
      for (const line of whatToSet(context, subvolume, target)) context.log.warn(line);
    };
    const startedMs = Date.now();
    const seconds = () => (Date.now() - startedMs) / 1000;
    if (asked.mode === 'restore') {
      const { subvolume, target } = asked.request;
      const outcome = await restoreBackup(context, asked.request);
      report(subvolume, target, outcome, seconds(), []);
      if (json) console.log(JSON.stringify(restoreDocument({ subvolume, target, outcome })));
      return 0;
    }
    const all = await openRestoreOfAll(context, asked.request);
    const names = all.subvolumes.map(({ name }) => name);
    const documents: object[] = [];
    const { failed, exitCode } = await forEachOf(all.subvolumes, async (subvolume) => {
      const outcome = await all.restore(subvolume);
      if (!outcome) return;
      const { name, path: target } = subvolume;
      report(name, target, outcome, seconds(), names);
      documents.push(restoreDocument({ subvolume: name, target, outcome }));
    });
    if (json)
      console.log(JSON.stringify({ directory: asked.request.directory, subvolumes: documents, failed }));
    if (failed.length > 0) {
      context.log.warn(
        `failed: ${failed.join(', ')}; the errors above say why, and the same command goes on`,
      );
    } else await all.finish();
    return exitCode;
  },
});
