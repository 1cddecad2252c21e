/** Copies single files and folders out of a backup, onto any filesystem. */
import { pointOptions, refuseTwoPoints, thawOptions } from '../lib/cli/options/point-options.ts';
import { readThawTerms } from '../lib/cli/options/thaw-options.ts';
import { extractPlanJson, extractPlanLines, extractReport } from '../lib/cli/reports/scratch-report.ts';
import { runScript } from '../lib/cli/run-script.ts';
import { ToolError } from '../lib/core/errors.ts';

await runScript({
  file: 'extract.ts',
  summary: `Copies files and folders out of a backup, onto any filesystem. The chain is restored into a scratch image under SPOOL_DIR,
which is removed afterwards. Nothing is ever written over.`,
  options: {
    ...pointOptions,
    paths: {
      type: 'string',
      value: 'PATHS',
      about: `what to copy: paths from the subvolume's top, blanks between them, quoted as in a shell (required)`,
    },
    to: {
      type: 'string',
      value: 'DIRECTORY',
      about: 'where to; /etc/fstab becomes DIRECTORY/etc/fstab (required)',
    },
    ...thawOptions,
    'no-wait': { type: 'boolean', about: 'exit 5 while chunks thaw, instead of waiting for RESTORE_TIMEOUT' },
    'dry-run': { type: 'boolean', about: 'print the plan and do nothing' },
  },
  needs: 'bucket',
  root: true,
  locked: false,
  async run({ context, options, json }) {
    const { extract, planExtract } = await import('../lib/stage/restore/extract/extract.ts');
    const { describeMissing } = await import('../lib/stage/restore/nested-backups.ts');
    const { subvolume, at, manifest, paths, to } = options;
    if (!subvolume || paths === undefined || !to) {
      const missing = !subvolume ? 'SUBVOLUME' : paths === undefined ? 'PATHS' : 'TO';
      throw new ToolError(`${missing} is not given`, {
        kind: 'usage',
        hint: 'make extract SUBVOLUME=name PATHS="/path /other" TO=directory; make list shows what there is',
      });
    }
    refuseTwoPoints(at, manifest);
    const selection = { at, manifest };
    const plan = await planExtract(context, {
      subvolume,
      selection,
      thaw: readThawTerms(options),
      paths,
      to,
    });
    const lines = extractPlanLines(plan);
    if (options['dry-run'] !== undefined) {
      console.log(json ? JSON.stringify(extractPlanJson(plan)) : lines.join('\n'));
      return 0;
    }
    for (const line of lines) context.log.info(line);
    const outcome = await extract(context, plan, options['no-wait'] === undefined);
    for (const line of describeMissing(outcome.missing)) context.log.warn(line);
    const report = extractReport(plan, outcome);
    console.log(json ? JSON.stringify(report.json) : report.text);
    if (outcome.failure) throw outcome.failure;
    return 0;
  },
});
