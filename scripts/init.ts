/** Makes a settings file with the answers to a few questions, and has the doctor look at it. */
import { join } from 'node:path';
import { runWith } from '../lib/cli/run-script.ts';

const notes = {
  file: 'init.ts',
  summary: `Asks what to back up, where to, with whose credentials, whether encrypted and how often, and writes the settings file, 0600, never over one that is
there. Settings of --set are not asked for; where there is no terminal nothing is asked, and what is missing is one line. Ends with the doctor.`,
  options: {
    'make-bucket': { type: 'boolean', about: 'make the bucket where there is none, without asking' },
  },
} as const;

await runWith(notes, async () => {
  const { runInit } = await import('../lib/cli/init/run-init.ts');
  return runInit(notes, join(import.meta.dirname, '..'));
});
