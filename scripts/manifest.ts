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
  async run({ context, json, forEachSubvolume, note, event }) {
    const { publishedJson, publishedLines } = await import('../lib/cli/reports/backup-report.ts');
    const { reportTidying } = await import('../lib/cli/reports/tidy-report.ts');
    const { worstOfCodes } = await import('../lib/core/errors.ts');
    const { publishBackup } = await import('../lib/stage/backup/publish/publish.ts');
    const { noteBackups } = await import('../lib/cli/watch/note-backups.ts');
    const published = await forEachSubvolume((subvolume) => publishBackup(context, subvolume));
    const { results, exitCode } = published;
    noteBackups({ note, event }, { published });
    if (json) {
      console.log(JSON.stringify({ bucket: context.bucket.name, subvolumes: results.map(publishedJson) }));
    } else for (const line of publishedLines(results)) console.log(line);
    const outcomes = new Map(results);
    const tidied = await forEachSubvolume(
      ({ name }) => reportTidying(context.log, outcomes.get(name)),
      [...outcomes.keys()],
    );
    return worstOfCodes([exitCode, tidied.exitCode]);
  },
});
