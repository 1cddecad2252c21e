/** Proves that backups can be restored, by restoring them, and records what that showed. */
import { drillOptions, readDrillOptions } from '../lib/cli/options/drill-options.ts';
import { drillReport } from '../lib/cli/reports/drill-report.ts';
import { scratchPlanLines } from '../lib/cli/reports/scratch-report.ts';
import { runScript } from '../lib/cli/run-script.ts';
import { worstExitCode } from '../lib/core/errors.ts';
import { printable } from '../lib/core/printable.ts';

await runScript({
  file: 'drill.ts',
  summary: `Restores a backup into a scratch image under SPOOL_DIR, compares it with its snapshot where that is on this host, removes it, and
records in the bucket what that proved. Exits 4 when the backup is damaged.`,
  options: drillOptions,
  needs: 'bucket',
  root: true,
  // A backup may run meanwhile: each drill has a lock of its own.
  locked: false,
  async run({ context, options, json, skip, logFailure }) {
    const { drillEach, isLeftOpen } = await import('../lib/stage/watch/drill/drills.ts');
    const request = readDrillOptions(options, context.settings);
    const results = await drillEach(context, request, (plan) => {
      for (const line of scratchPlanLines(plan)) context.log.info(line);
    });
    // What is recorded of the last run stays: until the one that is under way has ended, or after a failure until one is made.
    if (isLeftOpen(results)) skip();
    const report = drillReport(results);
    const [failure, ...others] = report.failures;
    if (json) console.log(JSON.stringify(report.json));
    else for (const line of report.lines) console.log(printable(line));
    if (failure && others.length === 0) throw failure;
    for (const each of report.failures) logFailure(each);
    return worstExitCode(report.failures);
  },
});
