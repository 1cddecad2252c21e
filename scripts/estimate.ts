/** Says what the next backup of each subvolume will take and cost. */
import { subvolumeOption } from '../lib/cli/options/help.ts';
import { rateOption, readRate } from '../lib/cli/options/rate-option.ts';
import { estimateJson, estimateText } from '../lib/cli/reports/estimate-report.ts';
import { planPlace } from '../lib/cli/reports/plan-forecast.ts';
import { runScript } from '../lib/cli/run-script.ts';

await runScript({
  file: 'estimate.ts',
  summary: `Says for each subvolume how large the next backup will be, what it takes and costs, and what a restore of its chain costs then.
Uploads nothing. Where no snapshot is there to measure, one is taken for that time and deleted again.`,
  options: {
    subvolume: subvolumeOption,
    rate: rateOption,
  },
  needs: 'sources and bucket',
  root: true,
  locked: true,
  async run({ context, options, json, forEachSubvolume }) {
    const { readPrices } = await import('../lib/edge/files/price-files.ts');
    const { listBackups } = await import('../lib/stage/bucket/list.ts');
    const { estimateBackup } = await import('../lib/stage/watch/estimate/estimate.ts');
    const { lastRate } = await import('../lib/stage/watch/estimate/last-rate.ts');
    const given = readRate(options.rate);
    const { bucket, settings } = context;
    const prices = await readPrices(settings.PRICES, bucket);
    const backups = await listBackups(context);
    const rate = given ?? (await lastRate(context, backups));
    const { results, failed, exitCode } = await forEachSubvolume((subvolume) =>
      estimateBackup(context, subvolume, { backups, prices, rate }),
    );
    const place = { ...planPlace(context), region: bucket.region, rate, prices };
    console.log(json ? JSON.stringify(estimateJson(results, failed, place)) : estimateText(results, place));
    return exitCode;
  },
});
