/** What is compared: the limits, the tool, and what one would use in its place. */
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { shell } from '../harness/processes/shell.ts';
import type { Ground } from './measure/ground.ts';
import { type MeasuredCommand, startOfProgram } from './measure/meter.ts';
import type { Variant } from './measure/variants.ts';

/** One way to move the stream. */
export interface Candidate {
  readonly name: string;
  /** `limit`: nothing can be faster; `ceiling`: what the sink can do. */
  readonly role: 'limit' | 'ceiling' | 'tool' | 'other';
  readonly command: MeasuredCommand;
  /** Before each round, not measured. */
  readonly prepare?: () => Promise<unknown>;
  /** Whether the stream passes the sink, which is then asked whether all of it did. */
  readonly passesSink: boolean;
  /** Bytes that pass it at least; those of the stream where nothing else is said. */
  readonly leastBytes?: number;
}

/** All ways in one direction, and what clears up after each round, not measured. */
export interface Contest {
  readonly direction: 'upload' | 'restore';
  readonly candidates: readonly Candidate[];
  readonly clear: () => Promise<unknown>;
}

const run = shell;

/** Parts of this size, so many at once: the tool's defaults, and what the others are set to. */
const partMib = 64;
const partsAtOnce = 4;

/** Uploads of the snapshot. */
export async function uploadContest(ground: Ground, directory: string): Promise<Contest> {
  const { send, sink, environment } = ground;
  const baseline = (
    script: string,
    args: readonly string[],
    more: Readonly<Record<string, string>> = {},
  ) => ({
    command: { script, args, environment: { ...environment, ...more } },
  });
  const aws = await awsUpload(ground, directory);
  const candidates: Candidate[] = [
    {
      name: 'btrfs send | cat',
      role: 'limit',
      passesSink: false,
      ...baseline('btrfs "$@" | cat > /dev/null', send),
    },
    rawClient(ground, 'put', 'raw'),
    ...ground.variants.map(({ name, isFirst, upload, forgetUpload }) => ({
      name,
      role: roleOf(isFirst),
      passesSink: true,
      get command() {
        return upload();
      },
      prepare: forgetUpload,
    })),
    {
      name: 'lib-storage Upload',
      role: 'other',
      passesSink: true,
      ...baseline('"$@"', [
        ...startOfProgram('lib-storage-upload'),
        sink.bucket,
        'lib-storage',
        'btrfs',
        ...send,
      ]),
    },
    {
      name: 'rclone rcat',
      role: 'other',
      passesSink: true,
      ...baseline(
        `btrfs "$@" | rclone rcat --s3-no-check-bucket --s3-chunk-size ${partMib}Mi --s3-upload-concurrency ${partsAtOnce} sink:${sink.bucket}/rclone`,
        send,
        rcloneEnvironment(ground),
      ),
    },
    {
      name: 'aws s3 cp -',
      role: 'other',
      passesSink: true,
      ...baseline(`btrfs "$@" | ${aws.script}`, send, aws.environment),
    },
  ];
  return { direction: 'upload', candidates: await present(candidates), clear: async () => undefined };
}

/** How the aws command stores what it reads, set to the tool's defaults: a script, and what it needs of the environment. */
export async function awsUpload(
  { sink, streamBytes }: Ground,
  directory: string,
): Promise<{ readonly script: string; readonly environment: Readonly<Record<string, string>> }> {
  const awsConfig = join(directory, 'aws-config');
  const [chunk, queue] = [`multipart_chunksize = ${partMib}MB`, `max_concurrent_requests = ${partsAtOnce}`];
  await writeFile(awsConfig, `[default]\ns3 =\n  ${chunk}\n  ${queue}\n`);
  return {
    script: `aws --endpoint-url ${sink.endpoint} s3 cp --only-show-errors --expected-size ${streamBytes} - s3://${sink.bucket}/aws`,
    environment: {
      AWS_CONFIG_FILE: awsConfig,
      // Not for all: rclone fails on AWS_CA_BUNDLE (1.60, "unable to load custom CA bundle").
      ...(sink.certificate !== undefined && { AWS_CA_BUNDLE: sink.certificate }),
    },
  };
}

/** Restores of the backup, each with its data on disk at the end. */
export function restoreContest(ground: Ground): Contest {
  const { mountPoint, environment, sink, chunkKey, streamFile } = ground;
  const received = join(mountPoint, 'received');
  const target = join(mountPoint, 'restored');
  const thenSync = (script: string) => `place=$1; shift; ${script} && btrfs filesystem sync "$place"`;
  const command = (script: string, args: readonly string[]) => ({
    script: thenSync(script),
    args: [received, ...args],
    environment,
  });
  const restore = ({ tool }: Variant) => {
    const started = tool('restore', '--subvolume', 'data', '--target', target, '--verify', 'none');
    return { ...started, script: thenSync('"$@"'), args: [received, ...started.args] };
  };
  const single = [...startOfProgram('single-get'), sink.bucket, chunkKey];
  const prepare = () => mkdir(received, { recursive: true });
  const candidates: Candidate[] = [
    {
      name: 'btrfs receive < file',
      role: 'limit',
      passesSink: false,
      prepare,
      command: command('btrfs receive --quiet "$place" < "$1"', [streamFile]),
    },
    rawClient(ground, 'get', chunkKey),
    ...ground.variants.map((variant) => ({
      name: variant.name,
      role: roleOf(variant.isFirst),
      passesSink: true,
      prepare,
      command: restore(variant),
    })),
    {
      name: 'one GetObject',
      role: 'other',
      passesSink: true,
      prepare,
      command: command('"$@" btrfs receive --quiet "$place"', single),
    },
  ];
  return { direction: 'restore', candidates, clear: () => clearRestores(mountPoint, received) };
}

/** The part that a variant of the tool has in a comparison. */
export function roleOf(isFirst: boolean): Candidate['role'] {
  return isFirst ? 'tool' : 'other';
}

/** The freed space must be there again, and nothing be left to write, before the next round. */
async function clearRestores(mountPoint: string, received: string): Promise<void> {
  const names = await readdir(received);
  const restored = (await readdir(mountPoint)).filter((name) => name === 'restored');
  const paths = [
    ...names.map((name) => join(received, name)),
    ...restored.map((name) => join(mountPoint, name)),
  ];
  for (const path of paths) await run`btrfs subvolume delete ${path}`;
  // The kernel begins to clean up after a commit, which would come by itself only within half a minute.
  await run`btrfs filesystem sync ${mountPoint}`;
  await run`btrfs subvolume sync ${mountPoint}`;
  await run`btrfs filesystem sync ${mountPoint}`;
}

function rawClient(
  { sink, streamBytes, environment }: Ground,
  direction: 'put' | 'get',
  key: string,
): Candidate {
  const url = `${sink.endpoint}/${sink.bucket}/${key}`;
  const args = [...startOfProgram('raw-client'), direction, url, `${streamBytes}`, `${partsAtOnce}`];
  return {
    name: `raw ${direction.toUpperCase()}`,
    role: 'ceiling',
    passesSink: true,
    command: { script: '"$@"', args, environment },
  };
}

/** A remote `sink:` without a settings file (https://rclone.org/docs/#environment-variables). */
function rcloneEnvironment({ sink }: Ground): Record<string, string> {
  return {
    RCLONE_CONFIG: '/dev/null',
    RCLONE_CONFIG_SINK_TYPE: 's3',
    RCLONE_CONFIG_SINK_PROVIDER: 'Other',
    RCLONE_CONFIG_SINK_ENV_AUTH: 'true',
    RCLONE_CONFIG_SINK_REGION: sink.region,
    RCLONE_CONFIG_SINK_ENDPOINT: sink.endpoint,
    ...(sink.certificate !== undefined && { RCLONE_CA_CERT: sink.certificate }),
  };
}

/** Leaves out programs that are not installed. */
async function present(candidates: readonly Candidate[]): Promise<readonly Candidate[]> {
  const missing = new Set<string>();
  for (const [program, name] of [
    ['rclone', 'rclone rcat'],
    ['aws', 'aws s3 cp -'],
  ] as const) {
    if ((await versionOf(program)) === undefined) missing.add(name);
  }
  return candidates.filter(({ name }) => !missing.has(name));
}

/** The first line that a program says of its version; undefined when it is not installed. */
export async function versionOf(program: 'rclone' | 'aws' | 'btrfs'): Promise<string | undefined> {
  const flag = program === 'rclone' ? 'version' : '--version';
  const { exitCode, stdout } = await run({ nothrow: true })`${program} ${flag}`;
  return exitCode === 0 ? stdout.split('\n')[0]?.trim() : undefined;
}
