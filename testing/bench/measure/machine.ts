/** What numbers depend on beside the code. */
import { cpus, release, totalmem } from 'node:os';
import { formatSize } from '../../../lib/core/units.ts';
import { versionOf } from '../candidates.ts';

/** The machine and the programs of a measurement. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  readonly btrfs: string | undefined;
  readonly rclone: string | undefined;
  readonly aws: string | undefined;
}

/** Describes this machine. */
export async function describeMachine(): Promise<Machine> {
  const [btrfs, rclone, aws] = await Promise.all([versionOf('btrfs'), versionOf('rclone'), versionOf('aws')]);
  const [first] = cpus();
  return {
    cpu: first?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.version,
    btrfs,
    rclone,
    aws,
  };
}

/** One line of it. */
export function machineLine({ cpu, cores, memoryBytes, kernel, node, btrfs, rclone, aws }: Machine): string {
  const programs = [btrfs, rclone ?? 'rclone is not installed', aws ?? 'aws is not installed'];
  const memory = formatSize(memoryBytes);
  return [`${cores} × ${cpu}`, memory, `Linux ${kernel}`, `Node ${node}`, ...programs].join(', ');
}
