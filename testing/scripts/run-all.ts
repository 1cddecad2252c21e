/** The whole integration run: every step in its order, and the end of it whatever happens. */
import { runAll } from '../harness/runner/run-all.ts';
import { runStep } from '../harness/runner/run-step.ts';

await runStep({
  name: 'run-all',
  cleansUp: true,
  summary: `Runs setup, seed, full, mutate, incremental, interrupt and resume, verify, restore, verify, teardown, each as a script
of its own; what is set up is torn down whatever happens. S3_SERVER=local|ceph|env in the environment chooses
the server. Every step leaves its log in logs/ of the run's directory (testing/run).`,
  options: {
    'include-large': {
      type: 'boolean',
      about: 'then all of it with testing/config/test-large.env: many chunks',
    },
    'include-archive': {
      type: 'boolean',
      about: 'then all of it with testing/config/test-archive.env: chunks that must thaw',
    },
    'skip-s3': { type: 'boolean', about: 'only what needs no server: setup, seed, mutate, teardown' },
    keep: {
      type: 'boolean',
      about: 'leave everything set up at the end, to look at; teardown-btrfs.ts ends it',
    },
  },
  run: runAll,
});
