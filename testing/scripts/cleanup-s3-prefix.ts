/** Removes what a run has put into the bucket. */
import { formatCount } from '../../lib/core/units.ts';
import { demandS3 } from '../harness/runner/demand-setup.ts';
import { runStep } from '../harness/runner/run-step.ts';
import { emptyPrefix } from '../harness/runner/undo.ts';

await runStep({
  name: 'cleanup-s3-prefix',
  cleansUp: true,
  summary: `Removes every object and every unfinished upload below the prefix that setup-btrfs made up for this run. Nothing
else in the bucket is touched. In a bucket with versions, old versions stay: give such a bucket a lifecycle rule.`,
  async run(step) {
    const state = await demandS3(step);
    const removed = await emptyPrefix(step, state);
    step.log.say(`${formatCount(removed, 'object')} removed from the bucket`);
  },
});
