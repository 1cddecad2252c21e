/** Lists the backups in the bucket. */

import { readHostPrefix } from '../lib/cli/options/host-prefix.ts';
import { anySubvolumeOption, refuseEmptyName } from '../lib/cli/options/point-options.ts';
import { hostsReport, listReport, pointerProblems } from '../lib/cli/reports/list-report.ts';
import { tableWidth } from '../lib/cli/reports/table.ts';
import { runScript } from '../lib/cli/run-script.ts';
import { worstExitCode } from '../lib/core/errors.ts';

await runScript({
  file: 'list.ts',
  summary:
    'Lists every backup of every chain, from the bucket alone, and whether it can be restored now; * marks the one that restore takes by default.',
  options: {
    subvolume: anySubvolumeOption,
    'host-prefix': {
      type: 'string',
      value: 'PREFIX',
      about: 'all hosts whose S3_PREFIX is this or below it; / for all in the bucket',
    },
    cost: { type: 'boolean', about: 'what each backup, and each chain, costs a month' },
    wide: { type: 'boolean', about: 'every column, however narrow the terminal is' },
  },
  needs: 'bucket',
  locked: false,
  async run({ context, options, json, logFailure }) {
    const { hintAtPrefixes, nothingFound } = await import('../lib/stage/bucket/backups.ts');
    const { listBackups } = await import('../lib/stage/bucket/list.ts');
    const { rememberedPrefix } = await import('../lib/stage/backup/last-backup.ts');
    const { adviseOnUploads } = await import('../lib/stage/bucket/lifecycle-advice.ts');
    const { nameLeftRestores } = await import('../lib/stage/restore/staging/left-behind.ts');
    const { listHosts } = await import('../lib/stage/bucket/list-hosts.ts');
    const { subvolume } = options;
    refuseEmptyName(subvolume);
    const hostPrefix = readHostPrefix(options['host-prefix']);
    const { name, prefix } = context.bucket;
    const { readPrices } = await import('../lib/edge/files/price-files.ts');
    const { PRICES } = context.settings;
    const costing =
      options.cost === undefined ? undefined : { known: await readPrices(PRICES, context.bucket) };
    const width = options.wide === undefined ? tableWidth() : Number.POSITIVE_INFINITY;
    if (hostPrefix !== undefined) {
      const hosts = await listHosts(context, hostPrefix, subvolume);
      const failures = hosts.flatMap(({ failure }) => failure ?? []);
      for (const failure of failures) logFailure(failure);
      for (const problem of hosts.flatMap(pointerProblems)) context.log.warn(problem);
      const report = hostsReport(name, hostPrefix, hosts, width, costing);
      console.log(json ? JSON.stringify(report.json) : report.text);
      if (!json) await adviseOnUploads(context, hostPrefix);
      return worstExitCode(failures);
    }
    const backups = await listBackups(context, subvolume);
    if (subvolume && backups.length === 0) {
      throw await nothingFound(context.bucket, `there is no backup of subvolume "${subvolume}"`);
    }
    const elsewhere = backups.length === 0 ? await rememberedPrefix(context) : undefined;
    if (elsewhere !== undefined) {
      context.log.warn(`the last backup of this host is under ${elsewhere}/: set S3_PREFIX=${elsewhere}`);
    } else if (backups.length === 0) {
      const hint = await hintAtPrefixes(context.bucket);
      if (hint !== undefined) context.log.info(hint);
    }
    await nameLeftRestores(context);
    for (const problem of pointerProblems({ prefix, backups })) context.log.warn(problem);
    const report = listReport(name, { prefix, backups }, width, costing);
    console.log(json ? JSON.stringify(report.json) : report.text);
    if (!json) await adviseOnUploads(context);
    return 0;
  },
});
