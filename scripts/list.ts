/** Lists the backups in the bucket. */
import { refuseEmptyName } from '../lib/cli/for-each-subvolume.ts';
import { runScript } from '../lib/cli/run-script.ts';
import { formatTable } from '../lib/cli/table.ts';
import { readableTimestamp } from '../lib/core/names.ts';
import { formatSize } from '../lib/core/units.ts';
import { nothingFound } from '../lib/stage/backups.ts';
import { listBackups } from '../lib/stage/list.ts';

await runScript({
  file: 'list.ts',
  summary:
    'Lists every backup of every chain, from the bucket alone; * marks the one that restore takes by default.',
  options: {
    subvolume: { type: 'string', value: 'NAME', about: 'only this one (default: all in the bucket)' },
  },
  needs: 'bucket',
  locked: false,
  async run({ context, options, json }) {
    const { subvolume } = options;
    refuseEmptyName(subvolume);
    const backups = await listBackups(context, subvolume);
    if (subvolume && backups.length === 0) {
      throw await nothingFound(context.bucket, `there is no backup of subvolume "${subvolume}"`);
    }
    if (json)
      console.log(JSON.stringify({ bucket: context.bucket.name, prefix: context.bucket.prefix, backups }));
    else if (backups.length === 0)
      console.log(`no backups in ${context.bucket.name} under ${context.bucket.prefix}/`);
    else {
      const rows = backups.map((backup) => [
        `${backup.current ? '*' : ' '} ${backup.subvolume}`,
        readableTimestamp(backup.created_at),
        backup.kind,
        backup.problem ?? formatSize(backup.bytes),
        String(backup.chunks),
        backup.storage_class ?? '',
        backup.manifest_key,
      ]);
      console.log(formatTable(['  SUBVOLUME', 'TIME', 'KIND', 'SIZE', 'CHUNKS', 'CLASS', 'MANIFEST'], rows));
    }
    return 0;
  },
});
