/** Requests the thaw of a whole chain, and tells how far it is. */
import { pointOptions } from '../lib/cli/point-options.ts';
import { runScript } from '../lib/cli/run-script.ts';
import { readThawOptions } from '../lib/cli/thaw-options.ts';
import { exportReport, thawReport } from '../lib/cli/thaw-report.ts';
import { describeError, worstExitCode } from '../lib/core/errors.ts';
import { resolveChain } from '../lib/stage/backups.ts';
import { exportThaw } from '../lib/stage/export-thaw.ts';
import { lookAtThaw, thawChunks, thawRequestFor } from '../lib/stage/thaw.ts';

await runScript({
  file: 'thaw.ts',
  summary: `Requests every archived chunk of a chain at once and tells how far they are; can be repeated: what thaws, or is thawed
for long enough, is not requested again. Exits 5 until all can be read.`,
  options: {
    ...pointOptions,
    tier: {
      type: 'string',
      value: 'TIER',
      about: 'Standard, Bulk or, for GLACIER, Expedited (default: RESTORE_TIER)',
    },
    days: {
      type: 'string',
      value: 'N',
      about:
        'days that the copies stay (default: what the transfer needs at RESTORE_RATE, at least RESTORE_DAYS)',
    },
    export: {
      type: 'string',
      value: 'FILE',
      about:
        'request nothing; write what to request, for all hosts under the prefix, for S3 Batch Operations',
    },
    'dry-run': { type: 'boolean', about: 'look, and request nothing' },
  },
  needs: 'bucket',
  locked: false,
  async run({ context, options, json }) {
    const wish = readThawOptions(options);
    if (wish.mode === 'export') {
      const outcome = await exportThaw(context, wish);
      for (const failure of outcome.failures) context.log.warn(describeError(failure));
      const failures = outcome.failures.map(({ message }) => message);
      console.log(
        json ? JSON.stringify({ file: wish.path, ...outcome, failures }) : exportReport(wish.path, outcome),
      );
      return worstExitCode(outcome.failures);
    }
    const chain = await resolveChain(context.bucket, wish.subvolume, wish.selection);
    const request = thawRequestFor(context, chain, wish);
    const outcome = wish.isDryRun ? await lookAtThaw(context, request) : await thawChunks(context, request);
    const report = thawReport(chain, request.wish, outcome, { now: new Date(), isDryRun: wish.isDryRun });
    console.log(json ? JSON.stringify(report.json) : report.text);
    return outcome.progress.readable === outcome.progress.objects ? 0 : 5;
  },
});
