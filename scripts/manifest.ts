/** Stage 3 of a backup: publish manifest and pointer, thin local snapshots. */
import { subvolumeOption } from '../lib/cli/options/help.ts';
import { runScript } from '../lib/cli/run-script.ts';

await runScript({
  file: 'manifest.ts',
  summary: 'Publishes the finished upload of each subvolume and thins its local snapshots to KEEP_SNAPSHOTS.',
  options: {
    subvolume: subvolumeOption,
  },
  needs: 'sources and bucket',
  root: true,
  locked: true,
  async run({ context, json, forEachSubvolume }) {
    const { publishedJson, publishedLines } = await import('../lib/cli/reports/backup-report.ts');
    const { publishBackup } = await import('../lib/stage/backup/publish.ts');
    const { results, exitCode } = await forEachSubvolume((subvolume) => publishBackup(context, subvolume));
    if (json) {
      console.log(JSON.stringify({ bucket: context.bucket.name, subvolumes: results.map(publishedJson) }));
    } else for (const line of publishedLines(results)) console.log(line);
    for (const name of results.flatMap(([, { thinned }]) => thinned)) {
      context.log.info(`removed local snapshot ${name}`);
    }
    return exitCode;
  },
});
