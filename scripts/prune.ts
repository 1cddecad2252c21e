/** Shows, or removes, what is in the bucket beyond KEEP_GENERATIONS, and what dead runs left. */
import {
  anySubvolumeOption,
  refuseEmptyName,
  refuseTwoSelections,
} from '../lib/cli/options/point-options.ts';
import { doneText, planText, pruneDocument, versioningNotice } from '../lib/cli/reports/prune-report.ts';
import { runScript } from '../lib/cli/run-script.ts';
import { ifDueOption, whyNotDue } from '../lib/cli/watch/if-due.ts';
import type { PruneOutcome } from '../lib/stage/bucket/apply-prune.ts';

await runScript({
  file: 'prune.ts',
  summary:
    'Shows which generations (a full backup and the chain on it) are beyond the newest KEEP_GENERATIONS, and which objects and\nuploads of dead runs are older than 7 days; --apply removes them. Never the last backup, nor what anything kept builds on.',
  options: {
    subvolume: anySubvolumeOption,
    retire: {
      type: 'string',
      value: 'NAME',
      about: 'all backups of a subvolume that is not in SUBVOLUMES any more',
    },
    'if-due': ifDueOption('PRUNE_EVERY'),
    apply: { type: 'boolean', about: 'delete; without it nothing is changed' },
  },
  needs: 'bucket',
  locked: 'apply',
  async run({ context, options, json, skip }) {
    const { lockForDeleting } = await import('../lib/edge/files/reading-lock.ts');
    const { applyPrune } = await import('../lib/stage/bucket/apply-prune.ts');
    const { nothingFound } = await import('../lib/stage/bucket/backups.ts');
    const { planPrunes, problemsOf } = await import('../lib/stage/bucket/prune.ts');
    const { applyRetirement, planRetirement } = await import('../lib/stage/bucket/retire.ts');
    const { subvolume, retire } = options;
    refuseEmptyName(subvolume);
    refuseTwoSelections(subvolume, retire);
    const notDue = options['if-due'] === undefined ? undefined : await whyNotDue(context, 'prune');
    if (notDue !== undefined) {
      console.log(json ? JSON.stringify({ not_due: notDue }) : notDue);
      skip();
      return 0;
    }
    // Before the plan: a restore that begins later finds what is left.
    const alone = options.apply === undefined ? undefined : await lockForDeleting(context.settings.RUN_DIR);
    try {
      const retirement = retire === undefined ? undefined : await planRetirement(context, retire);
      const survey = retirement ?? (await planPrunes(context, subvolume));
      if (subvolume && survey.plans.length === 0) {
        throw await nothingFound(context.bucket, `there is nothing of subvolume "${subvolume}"`);
      }
      const notice = versioningNotice(survey.versioning);
      if (notice) context.log.warn(notice);
      const { bucket, settings } = context;
      const willApply = options.apply !== undefined;
      const outcomes = willApply ? new Map<string, PruneOutcome>() : undefined;
      const selected = settings.SUBVOLUMES?.map(({ name }) => name);
      const report = { bucket, keep: settings.KEEP_GENERATIONS, survey, outcomes, retired: retire, selected };
      if (!json) console.log(planText(report, willApply));
      try {
        for (const plan of willApply ? (retirement?.plans ?? []) : []) {
          outcomes?.set(plan.subvolume, await applyRetirement(context, plan));
        }
        for (const plan of willApply && !retirement ? survey.plans : []) {
          outcomes?.set(plan.subvolume, await applyPrune(context, plan));
        }
      } finally {
        if (json) console.log(JSON.stringify(pruneDocument(report)));
        else if (outcomes?.size) console.log(doneText([...outcomes.values()]));
      }
      const problem = problemsOf(survey, outcomes);
      if (problem) throw problem;
      return 0;
    } finally {
      await alone?.release();
    }
  },
});
