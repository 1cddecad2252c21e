/** The last step: undoes what setup recorded, also when a run was killed in between. */
import { runStep } from '../harness/runner/run-step.ts';
import { undoRecorded } from '../harness/runner/undo.ts';

await runStep({
  name: 'teardown-btrfs',
  cleansUp: true,
  summary: `Undoes what setup-btrfs recorded, and nothing else: ends the processes of the run, removes its objects from a bucket
that is not the harness's own, unmounts the filesystem, and removes what was made in the run's directory. Logs stay.`,
  options: {
    'leave-objects': { type: 'boolean', about: 'leave what is in a bucket that cannot be reached any more' },
  },
  async run(step) {
    const undone = await undoRecorded(step, { leaveObjects: step.options['leave-objects'] !== undefined });
    step.log.say(undone ? 'everything that was set up is gone again' : 'nothing is set up');
  },
});
