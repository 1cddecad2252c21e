/** Stage 2 of a backup: btrfs send, cut into chunks, uploaded part by part. */
import { subvolumeOption } from '../lib/cli/help.ts';
import { runScript } from '../lib/cli/run-script.ts';
import { formatTable } from '../lib/cli/table.ts';
import { formatCount, formatSize } from '../lib/core/units.ts';

await runScript({
  file: 'send-chunk-upload.ts',
  summary:
    'Uploads the prepared snapshot of each subvolume; parts that are in the bucket already are not sent again.',
  options: {
    subvolume: subvolumeOption,
    prepared: {
      type: 'boolean',
      about: 'only those with a prepared snapshot, which may be none (what make backup passes)',
    },
  },
  needs: 'sources and bucket',
  locked: true,
  isPrepared: async (run) => (await run.readSnapshot()) !== undefined,
  async run({ context, json, forEachSubvolume }) {
    const { checkAccess } = await import('../lib/edge/objects.ts');
    const { uploadSnapshot } = await import('../lib/stage/upload.ts');
    await checkAccess(context.bucket);
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
