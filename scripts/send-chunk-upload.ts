/** Stage 2 of a backup: btrfs send, cut into chunks, uploaded part by part. */
import { subvolumeOption } from '../lib/cli/options/help.ts';
import { formatTable } from '../lib/cli/reports/table.ts';
import { runScript } from '../lib/cli/run-script.ts';
import { formatCount, formatSize } from '../lib/core/units.ts';

await runScript({
  file: 'send-chunk-upload.ts',
  summary:
    'Uploads the prepared snapshot of each subvolume; parts that are in the bucket already are not sent again.',
  options: {
    subvolume: subvolumeOption,
  },
  needs: 'sources and bucket',
  root: true,
  locked: true,
  async run({ context, json, forEachSubvolume }) {
    const { checkAccess } = await import('../lib/edge/s3/objects.ts');
    const { uploadSnapshot } = await import('../lib/stage/backup/upload/upload.ts');
    const { warnOfUploadMemory } = await import('../lib/stage/memory-need.ts');
    await checkAccess(context.bucket);
    await warnOfUploadMemory(context);
    const { results, exitCode } = await forEachSubvolume((subvolume) => uploadSnapshot(context, subvolume));
    if (json) {
      console.log(JSON.stringify({ subvolumes: results.map(([name, upload]) => ({ name, ...upload })) }));
    } else if (results.length > 0) {
      const rows = results.map(([name, { chunks, bytes, alreadyDone }]) => [
        name,
        formatSize(bytes),
        formatCount(chunks, 'chunk'),
        alreadyDone ? 'uploaded by an earlier run' : 'uploaded',
      ]);
      console.log(formatTable(['SUBVOLUME', 'STREAM', 'CHUNKS', 'STATE'], rows));
    }
    return exitCode;
  },
});
