/** Stage 3 of a backup: publish manifest and pointer, thin local snapshots. */
import { subvolumeOption } from '../lib/cli/options/help.ts';
import { formatTable } from '../lib/cli/reports/table.ts';
import { runScript } from '../lib/cli/run-script.ts';
import { formatDuration, formatSize } from '../lib/core/units.ts';

await runScript({
  file: 'manifest.ts',
  summary: 'Publishes the finished upload of each subvolume and thins its local snapshots to KEEP_SNAPSHOTS.',
  options: {
    subvolume: subvolumeOption,
    prepared: {
      type: 'boolean',
      about: 'only those with a finished upload, which may be none (what make backup passes)',
    },
  },
  needs: 'sources and bucket',
  locked: true,
  isPrepared: async (run) => (await run.readChunks()) !== undefined,
  async run({ context, json, forEachSubvolume }) {
    const { publishBackup } = await import('../lib/stage/backup/publish.ts');
    const { results, exitCode } = await forEachSubvolume((subvolume) => publishBackup(context, subvolume));
    const published = results.map(([name, { manifestKey, manifest, seconds, thinned }]) => ({
      name,
      kind: manifest.kind,
      bytes: manifest.total_bytes,
      chunks: manifest.chunks.length,
      manifest_key: manifestKey,
      seconds,
      thinned,
    }));
    if (json) {
      console.log(JSON.stringify({ bucket: context.bucket.name, subvolumes: published }));
    } else if (published.length > 0) {
      const rows = published.map(({ name, kind, bytes, seconds, manifest_key }) => [
        name,
        kind,
        formatSize(bytes),
        formatDuration(seconds),
        manifest_key,
      ]);
      console.log(formatTable(['PUBLISHED', 'KIND', 'SIZE', 'TOOK', 'MANIFEST'], rows));
      for (const name of published.flatMap(({ thinned }) => thinned))
        context.log.info(`removed local snapshot ${name}`);
    }
    return exitCode;
  },
});
