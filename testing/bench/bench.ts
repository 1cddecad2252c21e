/** `make bench`: how fast the tool uploads and restores, beside the limits of the machine and what one would use in its place. */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { S3_LIMITS } from '../../lib/core/stream/part-sizes.ts';
import { MIB } from '../../lib/core/units.ts';
import { listenForStop } from '../harness/processes/stop.ts';
import { testDirectory } from '../harness/test-directory.ts';
import { fromRoot } from '../harness/workspace.ts';
import { type Contest, restoreContest, uploadContest } from './candidates.ts';
import { drawChart } from './chart.ts';
import { codecContests } from './codec-candidates.ts';
import { hold } from './contest.ts';
import { type DataSet, dataSets } from './data-sets.ts';
import { readCount, readNames, readSize, runCommandLine, UsageError } from './measure/command.ts';
import { type Ground, withGround } from './measure/ground.ts';
import { describeMachine, machineLine } from './measure/machine.ts';
import { needsOf, type Place, parentDirectory, withPlace } from './measure/place.ts';
import type { VariantOptions } from './measure/variants.ts';
import { type Comparison, formatComparison, linesOf } from './report.ts';
import type { LineOptions } from './sink/start-sink.ts';

const names = dataSets.map(({ name }) => name);

const usage = `Usage: make bench [SIZE= ROUNDS= SETS= CODEC=1 TLS=1 DELAY_MS= CAP_MBIT= DIR= BASELINE= PART_SIZES=]
   or, as root: node --import tsx testing/bench/bench.ts [options]

Uploads and restores data sets to and from an S3 server that takes everything and keeps nothing, with this tool and with
what one would use in its place, in turns, and compares time, processor time and memory. testing/bench/README.md says
what the numbers mean. Writes testing/run/bench.json and testing/run/bench.svg.

  --size SIZE      of each data set (default 2GiB); there are 100,000 small files at 2GiB, and in proportion
  --rounds N       of which the medians are taken (default 5)
  --sets NAMES     comma-separated: ${names.join(', ')} (default: all)
  --codec          uploads through zstd, age and both, beside the same programs in one pipe, and nothing else
  --tls            https, with a certificate made for the run
  --delay-ms MS    the server waits so long before each answer, as a far one would (default 0)
  --cap-mbit N     bandwidth in each direction, over all connections (default: none)
  --dir PATH       where images and streams go, three times SIZE and 1 GiB (default: TMPDIR, or testing/run/)
  --baseline PATH  another checkout of the tool, with its packages installed, which is measured in the same rounds
  --part-sizes LIST sizes of parts, comma-separated, with which this tool is measured as well
  --results PATH   where the results go (default: testing/run/)
  --help           this text

Exit codes: 0 done, 1 failed, 2 wrong usage, 128 + n stopped by signal n.
`;

interface Options {
  readonly sizeBytes: number;
  readonly rounds: number;
  readonly sets: readonly DataSet[];
  readonly isCodec: boolean;
  readonly line: LineOptions;
  readonly parent: string;
  readonly variants: VariantOptions;
  readonly results: string;
}

function readOptions(): Options | 'help' {
  const { values } = parseArgs({
    options: {
      size: { type: 'string', default: '2GiB' },
      rounds: { type: 'string', default: '5' },
      sets: { type: 'string', default: names.join(',') },
      codec: { type: 'boolean', default: false },
      tls: { type: 'boolean', default: false },
      'delay-ms': { type: 'string', default: '0' },
      'cap-mbit': { type: 'string' },
      dir: { type: 'string' },
      baseline: { type: 'string' },
      'part-sizes': { type: 'string' },
      results: { type: 'string', default: testDirectory() },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const cap = values['cap-mbit'];
  const chosen = readNames('SETS', values.sets, names);
  return {
    sizeBytes: readSize('SIZE', values.size, 8 * MIB),
    rounds: readCount('ROUNDS', values.rounds, 1),
    sets: dataSets.filter(({ name }) => chosen.includes(name)),
    isCodec: values.codec,
    line: {
      tls: values.tls,
      delayMs: readCount('DELAY_MS', values['delay-ms'], 0),
      megabitsPerSecond: cap === undefined ? undefined : readCount('CAP_MBIT', cap, 1),
    },
    parent: parentDirectory(values.dir),
    variants: {
      baseline: values.baseline === undefined ? undefined : readCheckout(values.baseline),
      partSizes: (values['part-sizes']?.split(',') ?? []).map((size) =>
        readSize('PART_SIZES', size.trim(), S3_LIMITS.minPartBytes),
      ),
    },
    results: values.results,
  };
}

/** @throws UsageError when there is no checkout of the tool, or one that make setup has not prepared */
function readCheckout(path: string): string {
  const checkout = resolve(path);
  for (const part of ['scripts/tsx.sh', 'scripts/restore.ts', 'node_modules']) {
    if (!existsSync(join(checkout, part)))
      throw new UsageError(
        `BASELINE must be a checkout of the tool with its packages: ${checkout} has no ${part}`,
      );
  }
  return checkout;
}

/** Both directions of one data set. */
async function compare(set: DataSet, options: Options, place: Place): Promise<readonly Comparison[]> {
  const { sizeBytes, rounds, line, variants } = options;
  say(`${set.name}: ${set.about}`);
  return withGround(place, { set, sizeBytes, line, variants, signal }, async (ground) => {
    const { sink, streamBytes } = ground;
    const comparisons: Comparison[] = [];
    for (const [name, contest] of await contestsOf(set, options, ground, place)) {
      const results = await hold(contest, { rounds, sink, streamBytes, signal, say });
      const comparison = { set: name, direction: contest.direction, streamBytes, results };
      console.log(`\n${formatComparison(comparison)}`);
      if (options.isCodec) console.log(shareOfByHand(comparison));
      comparisons.push(comparison);
    }
    return comparisons;
  });
}

/** How fast the tool is, as a share of the same programs by hand. */
function shareOfByHand(comparison: Comparison): string {
  const byHand = linesOf(comparison).filter(({ name }) => name.endsWith('by hand'));
  return byHand.map(({ name, speedRatio }) => `this tool: ${speedRatio.toFixed(2)} of ${name}`).join('\n');
}

/** What is held on a ground, with a name for the table. */
async function contestsOf(
  set: DataSet,
  { isCodec }: Options,
  ground: Ground,
  { workspace }: Place,
): Promise<readonly (readonly [name: string, contest: Contest])[]> {
  if (!isCodec) {
    const upload = await uploadContest(ground, workspace.directory);
    return [upload, restoreContest(ground)].map((contest) => [set.name, contest]);
  }
  const contests = await codecContests(ground, join(workspace.directory, set.name));
  return contests.map(({ name, contest }) => [`${set.name}, ${name}`, contest]);
}

async function bench(): Promise<void> {
  const options = readOptions();
  if (options === 'help') {
    process.stdout.write(usage);
    return;
  }
  const { sizeBytes, rounds, sets, line, parent, results } = options;
  const machine = await describeMachine();
  const how = `${line.tls ? 'https' : 'http'}, ${line.delayMs} ms, ${line.megabitsPerSecond ?? 'no'} Mbit/s cap, median of ${rounds}`;
  const caption = `${machineLine(machine)}; ${how}`;
  console.log(`${caption}\nSPEED and CPU: this tool's divided by the line's`);
  const comparisons = await withPlace(parent, needsOf(sizeBytes), async (place) => {
    const all: Comparison[] = [];
    for (const set of sets) all.push(...(await compare(set, options, place)));
    return all;
  });
  const measuredAt = new Date().toISOString();
  const document = { measuredAt, machine, sizeBytes, rounds, line, comparisons };
  const [json, chart] = [join(results, 'bench.json'), join(results, 'bench.svg')];
  await writeFile(json, `${JSON.stringify(document, null, 2)}\n`);
  await writeFile(chart, drawChart(comparisons, caption));
  console.log(`\nwritten: ${fromRoot(json)}, ${fromRoot(chart)}`);
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

const signal = listenForStop();
await runCommandLine('bench', signal, bench);
