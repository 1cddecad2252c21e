/** Fills the subvolumes with the same bytes every time. */
import { formatCount, formatSize } from '../../lib/core/units.ts';
import { demandSetup } from '../harness/runner/demand-setup.ts';
import { runStep } from '../harness/runner/run-step.ts';
import { seedData } from '../harness/seed-data.ts';
import { seedsOf } from '../harness/steps/mutate.ts';

await runStep({
  name: 'seed-data',
  summary: `Fills data, root and home with files, links, holes, attributes and odd names. SEED decides on every byte and
every timestamp; SEED_FILES and SEED_SIZE are for data, the others get a quarter of it.`,
  async run(step) {
    await demandSetup(step);
    for (const { name, path, ...options } of seedsOf(step)) {
      const { entries, bytes } = await seedData(path, options);
      step.log.say(
        `${name}: ${formatCount(entries, 'entry').replace('entrys', 'entries')}, ${formatSize(bytes)}`,
      );
    }
  },
});
