/** `make demo`: the whole journey on a loop device and a local S3 server, for someone who sees this tool for the first time. */
import { parseArgs } from 'node:util';
import { createNarrator } from '../harness/demo/narrator.ts';
import { runDemo } from '../harness/demo/run-demo.ts';
import { listenForStop, Stopped } from '../harness/processes/stop.ts';

const usage = `Usage: make demo   (or, as root: node --import tsx testing/scripts/demo.ts [--keep])

Backs up, changes, backs up again, loses and restores the data of a Btrfs filesystem that it makes in a file, with an
S3 server on loopback, and proves each result. Needs root for the mount, no account and no settings; takes less than
a minute and removes everything at the end, also when it is stopped.

  --keep   stay at the end with filesystem, server and settings in place, until Ctrl-C
  --help   this text

Exit codes: 0 everything was proved, 1 something failed, 2 wrong usage, 128 + n stopped by signal n.
`;

function readOptions(): { readonly keep: boolean; readonly help: boolean } {
  const { values } = parseArgs({ options: { keep: { type: 'boolean' }, help: { type: 'boolean' } } });
  return { keep: values.keep === true, help: values.help === true };
}

function fail(error: unknown): void {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
}

async function main(): Promise<number> {
  let options: ReturnType<typeof readOptions>;
  try {
    options = readOptions();
  } catch (error) {
    fail(error);
    return 2;
  }
  if (options.help) {
    process.stdout.write(usage);
    return 0;
  }
  if (process.geteuid?.() !== 0) {
    fail('it mounts a filesystem, which needs root; run it as: sudo env "PATH=$PATH" make demo');
    return 1;
  }
  const signal = listenForStop();
  try {
    const narrator = createNarrator((line) => process.stdout.write(`${line}\n`));
    await runDemo({ narrator, signal, keep: options.keep });
    return 0;
  } catch (error) {
    // What a stop breaks may surface first; the stop is what happened.
    const reason = signal.aborted ? signal.reason : error;
    fail(reason);
    return reason instanceof Stopped ? reason.exitCode : 1;
  }
}

process.exit(await main());
