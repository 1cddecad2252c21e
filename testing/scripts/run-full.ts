/** Backs up every subvolume in full. */
import { demandS3 } from '../harness/runner/demand-setup.ts';
import { runStep } from '../harness/runner/run-step.ts';
import { make } from '../harness/runner/tool.ts';
import { digestSubvolumes, recordBackups } from '../harness/steps/record-backups.ts';

await runStep({
  name: 'run-full',
  summary: `Runs "make backup KIND=full", and records what was published and a digest of each snapshot.`,
  async run(step) {
    const state = await demandS3(step);
    const live = await digestSubvolumes(step.places);
    await make(step, 'backup', { variables: ['KIND=full'] });
    await recordBackups(step, state, 'full', live);
  },
});
