/** Measures how much memory upload and restore take, against the bound that is promised. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatTable } from '../../lib/cli/reports/table.ts';
import { formatDuration, formatSize, GIB } from '../../lib/core/units.ts';
import { createLoopFilesystem } from '../harness/loop-filesystem.ts';
import { listenForStop, Stopped } from '../harness/processes/stop.ts';
import { createWorkspace, sweepDeadWorkspaces } from '../harness/workspace.ts';
import { type MemoryCase, type MemoryResult, measureMemory, memoryBound } from './measure/memory-case.ts';

const usage = `Usage: node --import tsx testing/bench/memory.ts [--gib N] [--cases N]

Uploads and restores N GiB (default 2) that do not compress, with several settings, to and from an S3 server in a
process of its own, and compares the peak memory of upload and restore with (CONCURRENCY + 1) x PART_SIZE + 120 MiB,
with twice the parts through zstd and age.
Needs root, and some 7 times N GiB of disk below testing/run/. Exits 1 when a bound is broken.
--cases N measures the first N settings only; the first alone takes some 4 times as much disk as --gib.
`;

const cases: readonly MemoryCase[] = [
  { partMib: 32, concurrency: 4, chunkMib: 200 * 1024, incrementals: 0 },
  { partMib: 32, concurrency: 4, chunkMib: 200 * 1024, incrementals: 3 },
  { partMib: 64, concurrency: 4, chunkMib: 256, incrementals: 0 },
  { partMib: 16, concurrency: 2, chunkMib: 100 * 1024, incrementals: 0 },
  { partMib: 5, concurrency: 8, chunkMib: 8, incrementals: 0 },
  { partMib: 32, concurrency: 4, chunkMib: 200 * 1024, incrementals: 0, isEncoded: true },
  { partMib: 16, concurrency: 2, chunkMib: 256, incrementals: 1, isEncoded: true },
];

function row(what: MemoryCase, { upload, restore }: MemoryResult): string[] {
  const bound = memoryBound(what);
  const peak = (bytes: number) => [formatSize(bytes), (bytes / bound).toFixed(2)];
  return [
    `${what.partMib} MiB × ${what.concurrency}${what.isEncoded ? ', zstd and age' : ''}`,
    formatSize(what.chunkMib * 2 ** 20),
    String(1 + what.incrementals),
    formatSize(bound),
    ...peak(upload.peakBytes),
    ...peak(restore.peakBytes),
    formatDuration(upload.seconds),
    formatDuration(restore.seconds),
  ];
}

/** Prints the table; answers whether every bound holds. */
async function measure(gib: number, count: number, signal: AbortSignal): Promise<boolean> {
  await sweepDeadWorkspaces('memory');
  const workspace = await createWorkspace('memory');
  const measured = cases.slice(0, count);
  const results: [MemoryCase, MemoryResult][] = [];
  try {
    const sizeBytes = Math.ceil((4.5 * gib + 1) * GIB);
    const filesystem = await createLoopFilesystem({ name: 'memory', sizeBytes });
    try {
      const { mountPoint } = filesystem;
      for (const [index, what] of measured.entries()) {
        const directory = join(workspace.directory, `case-${index + 1}`);
        const { environment } = workspace;
        const ground = { directory, mountPoint, gib, environment, signal };
        const result = await measureMemory(what, ground);
        results.push([what, result]);
        const [up, down, bound] = [result.upload.peakBytes, result.restore.peakBytes, memoryBound(what)].map(
          formatSize,
        );
        process.stderr.write(
          `${index + 1} of ${measured.length}: upload ${up}, restore ${down}, of ${bound}\n`,
        );
      }
    } finally {
      await filesystem.remove();
    }
  } finally {
    await workspace.remove();
  }
  const heading = [
    'PART × CONC',
    'CHUNK',
    'CHAIN',
    'BOUND',
    'UPLOAD',
    'RATIO',
    'RESTORE',
    'RATIO',
    'UP',
    'DOWN',
  ];
  console.log(
    formatTable(
      heading,
      results.map(([what, result]) => row(what, result)),
    ),
  );
  return results.every(
    ([what, { upload, restore }]) => Math.max(upload.peakBytes, restore.peakBytes) <= memoryBound(what),
  );
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      gib: { type: 'string', default: '2' },
      cases: { type: 'string', default: String(cases.length) },
      help: { type: 'boolean' },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const gib = Number(values.gib);
  if (!(gib > 0 && gib <= 1024)) throw new Error(`--gib must be a number above 0, got ${values.gib}`);
  const count = Number(values.cases);
  if (!(count >= 1)) throw new Error(`--cases must be a number from 1 on, got ${values.cases}`);
  const holds = await measure(gib, count, signal);
  console.log(
    holds ? 'the promise holds: every peak is within its bound' : 'the promise is BROKEN: a ratio above 1.00',
  );
  return holds ? 0 : 1;
}

const signal = listenForStop();
try {
  process.exitCode = await main();
} catch (error) {
  const reason = signal.aborted ? signal.reason : error;
  process.stderr.write(`memory: ${reason instanceof Error ? reason.message : String(reason)}\n`);
  process.exitCode = reason instanceof Stopped ? reason.exitCode : 1;
}
