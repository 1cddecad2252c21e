/** `make bench-growth`: what one more byte and one more backup cost. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatTable } from '../../lib/cli/reports/table.ts';
import { formatSize, GIB, MIB } from '../../lib/core/units.ts';
import { listenForStop } from '../harness/processes/stop.ts';
import { testDirectory } from '../harness/test-directory.ts';
import { fromRoot } from '../harness/workspace.ts';
import { type Look, looks, measureLooks, measureUpload } from './growth-cases.ts';
import { readCount, readSize, runCommandLine, UsageError } from './measure/command.ts';
import { describeMachine, machineLine } from './measure/machine.ts';
import { parentDirectory, withPlace } from './measure/place.ts';
import type { Measurement } from './measure/statistics.ts';
import { median, perUnit } from './measure/statistics.ts';
import { streamStepBytes } from './synthetic-stream.ts';

const usage = `Usage: make bench-growth [SIZES= COUNTS= ROUNDS= TLS=1 DIR=]
   or: node --import tsx testing/bench/growth.ts [options]

Uploads longer and longer streams, and lists, verifies and resolves longer and longer chains, all of them made up, to and
from a server that takes everything; prints what each further GiB and each further backup costs, and writes
testing/run/bench-growth.json. Needs root.

  --sizes SIZES    comma-separated multiples of 64MiB (default 256MiB,1GiB,4GiB,16GiB); empty for none
  --counts N,N     backups in a chain, at most 10000 (default 10,100,1000,10000); empty for none
  --rounds N       of which the medians are taken (default 3)
  --tls            uploads over https, with a certificate made for the run
  --dir PATH       where it works, in some 100 MiB (default: TMPDIR, or testing/run/)
  --results PATH   where the results go (default: testing/run/)
  --help           this text

Exit codes: 0 done, 1 failed, 2 wrong usage, 128 + n stopped by signal n.
`;

/** All rounds of one size, or of one number of backups. */
interface Case<Runs> {
  readonly size: number;
  readonly runs: Runs;
}

const needs = { diskBytes: 256 * MIB, memoryBytes: GIB };
const most = 10_000;

function readOptions() {
  const { values } = parseArgs({
    options: {
      sizes: { type: 'string', default: '256MiB,1GiB,4GiB,16GiB' },
      counts: { type: 'string', default: '10,100,1000,10000' },
      rounds: { type: 'string', default: '3' },
      tls: { type: 'boolean', default: false },
      dir: { type: 'string' },
      results: { type: 'string', default: testDirectory() },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const sizes = words(values.sizes).map((word) => readSize('SIZES', word, streamStepBytes));
  const odd = sizes.find((bytes) => bytes % streamStepBytes !== 0);
  if (odd !== undefined) throw new UsageError(`SIZES takes multiples of 64MiB, got ${odd} bytes`);
  const counts = words(values.counts).map((word) => readCount('COUNTS', word, 1));
  if (counts.some((count) => count > most)) throw new UsageError(`COUNTS takes at most ${most}`);
  return {
    sizes,
    counts,
    rounds: readCount('ROUNDS', values.rounds, 1),
    tls: values.tls,
    parent: parentDirectory(values.dir),
    results: values.results,
  };
}

const words = (list: string) => list.split(',').filter((word) => word !== '');
const ascending = (numbers: readonly number[]) => [...numbers].sort((a, b) => a - b);
const secondsOf = (runs: readonly Measurement[]) => median(runs.map(({ seconds }) => seconds));
const peakOf = (runs: readonly Measurement[]) =>
  formatSize(Math.max(...runs.map(({ peakBytes }) => peakBytes)));

function uploadTable(cases: readonly Case<readonly Measurement[]>[]): string {
  const further = perUnit(cases.map(({ size, runs }) => [size / GIB, secondsOf(runs)]));
  const rows = cases.map(({ size, runs }, index) => [
    formatSize(size),
    secondsOf(runs).toFixed(2),
    (secondsOf(runs) / (size / GIB)).toFixed(2),
    further[index]?.toFixed(2) ?? '',
    (median(runs.map(({ cpuSeconds }) => cpuSeconds)) / (size / GIB)).toFixed(2),
    peakOf(runs),
  ]);
  return formatTable(['UPLOAD', 'SECONDS', 's/GiB', 'FURTHER GiB', 'CPU-s/GiB', 'MEMORY'], rows);
}

function looksTable(cases: readonly Case<Readonly<Record<Look, readonly Measurement[]>>>[]): string {
  const further = looks.map((look) =>
    perUnit(cases.map(({ size, runs }) => [size, secondsOf(runs[look]) * 1000])),
  );
  const rows = cases.map(({ size, runs }, index) => [
    `${size}`,
    ...looks.flatMap((look, column) => [
      secondsOf(runs[look]).toFixed(2),
      further[column]?.[index]?.toFixed(2) ?? '',
      peakOf(runs[look]),
    ]),
  ]);
  const heading = looks.flatMap((look) => [`${look.toUpperCase()} s`, 'FURTHER ms', 'MEMORY']);
  return formatTable(['BACKUPS', ...heading], rows);
}

async function growth(): Promise<void> {
  const options = readOptions();
  if (options === 'help') {
    process.stdout.write(usage);
    return;
  }
  const { sizes, counts, rounds, tls, parent, results } = options;
  const machine = await describeMachine();
  console.log(
    `${machineLine(machine)}; uploads over ${tls ? 'https' : 'http'}; median of ${rounds}; FURTHER: for each more than the line above has`,
  );
  const result = await withPlace(parent, needs, async ({ workspace }) => {
    const uploads: Case<readonly Measurement[]>[] = [];
    for (const size of ascending(sizes)) {
      process.stderr.write(`upload of ${formatSize(size)}\n`);
      uploads.push({ size, runs: await measureUpload(size, tls, { workspace, rounds, signal }) });
    }
    if (uploads.length > 0) console.log(`\n${uploadTable(uploads)}`);
    const chains: Case<Readonly<Record<Look, readonly Measurement[]>>>[] = [];
    for (const size of ascending(counts)) {
      process.stderr.write(`chain of ${size}\n`);
      chains.push({ size, runs: await measureLooks(size, { workspace, rounds, signal }) });
    }
    if (chains.length > 0) console.log(`\n${looksTable(chains)}`);
    return { uploads, chains };
  });
  const path = join(results, 'bench-growth.json');
  const document = { measuredAt: new Date().toISOString(), machine, rounds, tls, ...result };
  await writeFile(path, `${JSON.stringify(document, null, 2)}\n`);
  console.log(`\nwritten: ${fromRoot(path)}`);
}

const signal = listenForStop();
await runCommandLine('bench-growth', signal, growth);
