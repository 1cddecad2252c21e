/** Looks at everything that a backup or a restore needs, and says what is wrong and what mends it. */
import { doctorOptions } from '../lib/cli/options/doctor-options.ts';
import { runWith } from '../lib/cli/run-script.ts';

const notes = {
  file: 'doctor.ts',
  summary: `Looks at this host, its settings, the way to the bucket and the bucket, and tries each permission that a role needs. It changes nothing: what it
begins in the bucket it ends. A line each: ✓ is fine, ! works but should be known, ✗ does not work, with the command or setting that mends it.`,
  options: doctorOptions,
};

await runWith(notes, async () => {
  const { runDoctor } = await import('../lib/cli/run-doctor.ts');
  return runDoctor(notes);
});
