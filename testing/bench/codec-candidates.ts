/** What is compared with CODEC=1: uploads through each codec, beside the same programs in one pipe, by hand. */
import { join } from 'node:path';
import { shell } from '../harness/processes/shell.ts';
import { awsUpload, type Candidate, type Contest, roleOf, versionOf } from './candidates.ts';
import type { Ground } from './measure/ground.ts';
import type { Variant } from './measure/variants.ts';

/** A codec by its name, and the contest of its uploads. */
export interface CodecContest {
  readonly name: string;
  readonly contest: Contest;
}

/**
 * The contests of a snapshot, one for each codec: by hand, where nothing is sent; by hand into the aws command, where that is installed; and
 * the tool, which sends what it makes to the sink.
 * @param directory for the key that is made for them
 */
export async function codecContests(ground: Ground, directory: string): Promise<readonly CodecContest[]> {
  const identity = join(directory, 'identity');
  await shell`age-keygen -o ${identity}`;
  const recipient = (await shell`age-keygen -y ${identity}`).stdout.trim();
  const age = `age -r ${recipient}`;
  const codecs: readonly (readonly [name: string, pipe: string, settings: readonly string[]])[] = [
    ['zstd', 'zstd -q -c', ['COMPRESS=zstd']],
    ['age', age, [`ENCRYPT_TO=${recipient}`]],
    ['zstd | age', `zstd -q -c | ${age}`, ['COMPRESS=zstd', `ENCRYPT_TO=${recipient}`]],
  ];
  const hasAws = (await versionOf('aws')) !== undefined;
  const contests: CodecContest[] = [];
  for (const [name, pipe, settings] of codecs) {
    const leastBytes = 0.9 * (await encodedBytes(ground, pipe));
    const candidates = [
      byHand(ground, name, pipe),
      ...(hasAws ? [await sentByHand(ground, name, pipe, { leastBytes, directory })] : []),
      ...ground.variants.map((variant) => tool(variant, leastBytes, settings)),
    ];
    contests.push({ name, contest: { direction: 'upload', candidates, clear: async () => undefined } });
  }
  return contests;
}

function byHand({ send, environment }: Ground, name: string, pipe: string): Candidate {
  return {
    name: `${name}, by hand`,
    role: 'limit',
    passesSink: false,
    command: { script: `btrfs "$@" | ${pipe} > /dev/null`, args: send, environment },
  };
}

async function sentByHand(
  ground: Ground,
  name: string,
  pipe: string,
  { leastBytes, directory }: { readonly leastBytes: number; readonly directory: string },
): Promise<Candidate> {
  const { script, environment } = await awsUpload(ground, directory);
  return {
    name: `${name} | aws s3 cp -, by hand`,
    role: 'other',
    passesSink: true,
    leastBytes,
    command: {
      script: `btrfs "$@" | ${pipe} | ${script}`,
      args: ground.send,
      environment: { ...ground.environment, ...environment },
    },
  };
}

function tool(
  { name, isFirst, upload, forgetUpload }: Variant,
  leastBytes: number,
  settings: readonly string[],
): Candidate {
  const sets = settings.flatMap((setting) => ['--set', setting]);
  return {
    name,
    role: roleOf(isFirst),
    passesSink: true,
    // Frames do not know each other, so that they are a little larger; what is much less than the pipe makes is not all of it.
    leastBytes,
    get command() {
      return upload(...sets);
    },
    prepare: forgetUpload,
  };
}

/** What the pipe makes of the stream. */
async function encodedBytes({ streamFile }: Ground, pipe: string): Promise<number> {
  const { stdout } = await shell`bash -o pipefail -c ${`cat "$0" | ${pipe} | wc -c`} ${streamFile}`;
  return Number(stdout);
}
