/** Requests the thaw of a whole chain, and reports how far it is. */
import { pointOptions, thawOptions } from '../lib/cli/options/point-options.ts';
import { readThawOptions } from '../lib/cli/options/thaw-options.ts';
import { exportReport, thawReport } from '../lib/cli/reports/thaw-report.ts';
import { runScript } from '../lib/cli/run-script.ts';
import { worstExitCode } from '../lib/core/errors.ts';

await runScript({
  file: 'thaw.ts',
  summary: `Requests every archived chunk of a chain at once and reports how far they are; can be repeated: what thaws, or is thawed
for long enough, is not requested again. Exits 5 until all can be read.`,
  options: {
    ...pointOptions,
    ...thawOptions,
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
  async run({ context, options, json, logFailure }) {
    const { checkReadable } = await import('../lib/stage/bucket/identity.ts');
    const { resolveTrustedChain } = await import('../lib/stage/bucket/signatures.ts');
    const { resolveThawedChain } = await import('../lib/stage/restore/thaw-documents.ts');
    const { exportThaw } = await import('../lib/stage/restore/export-thaw.ts');
    const { warnOfUnreceivable } = await import('../lib/stage/restore/receivable.ts');
    const { lookAtThaw, thawChunks, thawRequestFor } = await import('../lib/stage/restore/thaw.ts');
    const choice = readThawOptions(options);
    if (choice.mode === 'export') {
      const outcome = await exportThaw(context, choice);
      for (const failure of outcome.failures) logFailure(failure);
      const failures = outcome.failures.map(({ message }) => message);
      console.log(
        json
          ? JSON.stringify({ file: choice.path, ...outcome, failures })
          : exportReport(choice.path, outcome),
      );
      return worstExitCode(outcome.failures);
    }
    const { subvolume, selection, terms, isDryRun } = choice;
    const chain = await (isDryRun
      ? resolveTrustedChain(context, subvolume, selection)
      : resolveThawedChain(context, subvolume, selection, { terms, mayWait: false }));
    // The restore will need the identity; where it is not on this host, thawing may still be.
    if (context.settings.DECRYPT_WITH !== '') await checkReadable(context, chain);
    await warnOfUnreceivable(context, chain);
    const request = thawRequestFor(context, chain, terms);
    const outcome = isDryRun ? await lookAtThaw(context, request) : await thawChunks(context, request);
    const report = thawReport(chain, request.terms, outcome, { now: new Date(), isDryRun });
    console.log(json ? JSON.stringify(report.json) : report.text);
    return outcome.progress.readable === outcome.progress.objects ? 0 : 5;
  },
});
