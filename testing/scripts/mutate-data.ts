/** Changes the subvolumes in every way that an incremental backup must carry over. */
import { demandSetup } from '../harness/runner/demand-setup.ts';
import { runStep } from '../harness/runner/run-step.ts';
import { mutateAll } from '../harness/steps/mutate.ts';

await runStep({
  name: 'mutate-data',
  summary: `Makes the next round of changes: create, append, overwrite in the middle, truncate, delete, rename, chmod, chown,
attributes, ACLs, hard link, symlink target, reflink copy, a hole punched. It can be run again and again.`,
  async run(step) {
    await mutateAll(step, await demandSetup(step));
  },
});
