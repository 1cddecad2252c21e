/** How upload, and what looks at all backups, grow: each case in a folder and with a sink of its own. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MIB } from '../../lib/core/units.ts';
import { RunDirectory } from '../../lib/edge/files/run-directory.ts';
import { createLoopFilesystem } from '../harness/loop-filesystem.ts';
import { writeSettings } from '../harness/settings-file.ts';
import { repositoryRoot } from '../harness/test-directory.ts';
import type { Workspace } from '../harness/workspace.ts';
import { type MeasuredCommand, measure, startOfProgram, toolCommand } from './measure/meter.ts';
import type { Measurement } from './measure/statistics.ts';
import { type RunningSink, startSink } from './sink/start-sink.ts';
import { fillBucket } from './synthetic-backups.ts';
import { makeSender, prepareSnapshot } from './synthetic-stream.ts';

/** How often, and what ends it. */
export interface GrowthOptions {
  readonly workspace: Workspace;
  readonly rounds: number;
  readonly signal: AbortSignal;
}

/** What looks at all backups. */
export const looks = ['list', 'verify', 'chain'] as const;
export type Look = (typeof looks)[number];

const prefix = 'bench';

/** Uploads a stream of so many bytes, a multiple of 64 MiB, over https or http. @throws when not all of it arrived */
export async function measureUpload(
  bytes: number,
  tls: boolean,
  options: GrowthOptions,
): Promise<readonly Measurement[]> {
  return withCase(options.workspace, tls, async ({ directory, sink, environment, settings }) => {
    const filesystem = await createLoopFilesystem({ name: 'growth', sizeBytes: 256 * MIB });
    try {
      const snapshot = await prepareSnapshot(filesystem.mountPoint);
      const bin = join(directory, 'bin');
      await makeSender(bin, snapshot, bytes);
      const run = new RunDirectory(join(directory, 'run'), 'data');
      const path = { ...environment, PATH: `${bin}:${environment.PATH}` };
      const command = toolCommand(repositoryRoot, 'send-chunk-upload', ['--config', settings], path);
      return await repeat(options, async () => {
        await rm(run.path, { recursive: true, force: true });
        await run.create();
        await run.writeSnapshot(snapshot);
        await sink.counts();
        const measured = await measure(command, options.signal);
        const { receivedBytes } = await sink.counts();
        if (receivedBytes !== bytes) throw new Error(`${receivedBytes} of ${bytes} bytes arrived`);
        return measured;
      });
    } finally {
      await filesystem.remove();
    }
  });
}

/** Lists, verifies and resolves a chain of so many backups. */
export async function measureLooks(
  count: number,
  options: GrowthOptions,
): Promise<Readonly<Record<Look, readonly Measurement[]>>> {
  return withCase(options.workspace, false, async ({ sink, environment, settings }) => {
    await fillBucket(sink, prefix, count);
    const script = (name: string) => toolCommand(repositoryRoot, name, ['--config', settings], environment);
    const walk = [...startOfProgram('resolve-chain'), '--config', settings, 'data', `${count}`];
    const commands: Record<Look, MeasuredCommand> = {
      list: script('list'),
      verify: script('verify'),
      chain: { script: '"$@"', args: walk, environment },
    };
    const runs: Record<Look, Measurement[]> = { list: [], verify: [], chain: [] };
    for (let round = 0; round < options.rounds; round += 1) {
      for (const look of looks) runs[look].push(await measure(commands[look], options.signal));
    }
    return runs;
  });
}

interface Case {
  readonly directory: string;
  readonly sink: RunningSink;
  readonly environment: Readonly<Record<string, string>>;
  readonly settings: string;
}

async function withCase<Result>(
  workspace: Workspace,
  tls: boolean,
  work: (ground: Case) => Promise<Result>,
): Promise<Result> {
  const directory = join(workspace.directory, 'case');
  await mkdir(directory, { mode: 0o700 });
  const line = { tls, delayMs: 0, megabitsPerSecond: undefined };
  const sink = await startSink(line, directory, workspace.environment);
  try {
    const settings = join(directory, 'backup.env');
    await writeSettings({
      path: settings,
      subvolume: '/nowhere/data',
      snapshotDirectory: '/nowhere/snapshots',
      runDirectory: join(directory, 'run'),
      prefix,
      access: sink,
      more: { STORAGE_CLASS_CHUNKS: 'STANDARD' },
    });
    const environment = { ...workspace.environment, ...sink.environment };
    return await work({ directory, sink, environment, settings });
  } finally {
    await sink.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

async function repeat(
  { rounds }: GrowthOptions,
  run: () => Promise<Measurement>,
): Promise<readonly Measurement[]> {
  const runs: Measurement[] = [];
  for (let round = 0; round < rounds; round += 1) runs.push(await run());
  return runs;
}
