/** Lists the backups in the bucket. */

import { listedJson, listTable } from '../lib/cli/list-report.ts';
import { anySubvolumeOption, refuseEmptyName } from '../lib/cli/point-options.ts';
import { runScript } from '../lib/cli/run-script.ts';

await runScript({
  file: 'list.ts',
  summary:
    'Lists every backup of every chain, from the bucket alone, and whether it can be restored now; * marks the one that restore takes by default.',
  options: {
    subvolume: anySubvolumeOption,
  },
  needs: 'bucket',
  locked: false,
  async run({ context, options, json }) {
    const { nothingFound } = await import('../lib/stage/backups.ts');
    const { listBackups } = await import('../lib/stage/list.ts');
    const { subvolume } = options;
    refuseEmptyName(subvolume);
    const backups = await listBackups(context, subvolume);
    if (subvolume && backups.length === 0) {
      throw await nothingFound(context.bucket, `there is no backup of subvolume "${subvolume}"`);
    }
    const { name, prefix } = context.bucket;
    if (json) console.log(JSON.stringify({ bucket: name, prefix, backups: backups.map(listedJson) }));
    else console.log(backups.length === 0 ? `no backups in ${name} under ${prefix}/` : listTable(backups));
    return 0;
  },
});
