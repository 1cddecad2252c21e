/** Shows on one screen how the backups of this host are. */
import { statusJson, statusText } from '../lib/cli/reports/status-report.ts';
import { runScript } from '../lib/cli/run-script.ts';

await runScript({
  file: 'status.ts',
  summary: `Shows for each subvolume the newest backup, when the next is due, the chain, what it costs, the last verify and drill, and what is wrong.
Exits 1 when something is wrong, and 4 when something in the bucket is damaged.`,
  options: {},
  needs: 'bucket',
  locked: false,
  async run({ context, json }) {
    const { lookAtHost } = await import('../lib/stage/watch/health/status.ts');
    const { bucket, settings, now } = context;
    const status = await lookAtHost(context);
    const place = { ...settings, bucket: bucket.name, prefix: bucket.prefix, now: now() };
    console.log(json ? JSON.stringify(statusJson(status, place)) : statusText(status, place));
    const complaints = [status, ...status.subvolumes].flatMap((each) => each.complaints);
    if (complaints.some(({ isDamage }) => isDamage)) return 4;
    return complaints.length > 0 ? 1 : 0;
  },
});
