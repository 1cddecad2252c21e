/** Backs up every subvolume incrementally. */
import { demandBackups, demandS3 } from '../harness/runner/demand-setup.ts';
import { runStep } from '../harness/runner/run-step.ts';
import { make } from '../harness/runner/tool.ts';
import { digestSubvolumes, recordBackups } from '../harness/steps/record-backups.ts';

await runStep({
  name: 'run-incremental',
  summary: `Runs "make backup" after a full backup; every subvolume must come out as an incremental one.`,
  async run(step) {
    const state = await demandS3(step);
    demandBackups(state);
    const live = await digestSubvolumes(step.places);
    await make(step, 'backup');
    await recordBackups(step, state, 'incremental', live);
  },
});
