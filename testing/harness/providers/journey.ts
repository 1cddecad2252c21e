/** A backup's life on a server with the habits of a provider, by the scripts themselves: what works, and what they say where it does not. */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { PutBucketLifecycleConfigurationCommand, S3Client } from '@aws-sdk/client-s3';
import type { Habits } from '../../s3-server/habits/habits.ts';
import { type ProviderName, providers } from '../../s3-server/habits/providers.ts';
import { startS3Server } from '../../s3-server/server.ts';
import { createLoopFilesystem } from '../loop-filesystem.ts';
import { shell } from '../processes/shell.ts';
import { testDirectory } from '../test-directory.ts';
import { treeDigest } from '../tree-digest.ts';
import { type Said, saidOn, settingAskedFor } from './messages.ts';

/** What is done, in this order; each step is tried although one before it failed, once there is a backup. */
export const steps = ['backup', 'verify', 'restore', 'prune', 'archive'] as const;

type Step = (typeof steps)[number];

/** What became of one provider. */
export interface ProviderOutcome {
  readonly provider: ProviderName;
  /** Settings that the backup asked for, in this order, each with the line that did. */
  readonly settings: readonly { readonly setting: string; readonly line: string }[];
  /** By step: the line that it ended with, where it did not do what it should. */
  readonly failures: Readonly<Partial<Record<Step, string>>>;
  /** What backups that worked found out about the server. */
  readonly notices: readonly string[];
}

const secret = 'played-provider-secret';
const MIB = 2 ** 20;

/** `anything.localhost` is this machine, which not every resolver knows. */
const localNames = `import dns from 'node:dns'; const { lookup } = dns;
dns.lookup = Object.assign((name, ...rest) => lookup(name.endsWith('.localhost') ? '127.0.0.1' : name, ...rest), lookup);`;
const scripts = shell({
  nothrow: true,
  env: {
    ...process.env,
    SHLVL: '1',
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(localNames)}`,
  },
});

/** Tries one provider. Needs root; leaves nothing. */
export async function tryProvider(provider: ProviderName, signal: AbortSignal): Promise<ProviderOutcome> {
  const undo: (() => Promise<unknown>)[] = [];
  const habits: Habits = providers[provider];
  try {
    const filesystem = await createLoopFilesystem({ name: 'provider', sizeBytes: 512 * MIB });
    undo.push(() => filesystem.remove());
    const directory = await mkdtemp(join(testDirectory(), 'provider-'));
    undo.push(() => rm(directory, { recursive: true, force: true }));
    const account = { accessKeyId: 'played', secretAccessKey: secret, buckets: ['backups'] };
    const server = await startS3Server({ directory: join(directory, 's3'), ...account, provider });
    undo.push(() => server.stop());
    if (habits.uploadEndsAtPart !== undefined) await putShortRule(server.endpoint);
    const endpoint = habits.pathStyleRefusal ? `http://s3.localhost:${server.port}` : server.endpoint;
    return await new Journey(provider, { mount: filesystem.mountPoint, directory, endpoint, signal }).run();
  } finally {
    for (const step of undo.reverse()) await step();
  }
}

/** The rule that ends uploads so soon. */
async function putShortRule(endpoint: string): Promise<void> {
  const credentials = { accessKeyId: 'played', secretAccessKey: secret };
  const client = new S3Client({ endpoint, forcePathStyle: true, region: 'us-east-1', credentials });
  const rule = {
    ID: 'tidy',
    Status: 'Enabled' as const,
    Filter: { Prefix: '' },
    AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 },
  };
  await client.send(
    new PutBucketLifecycleConfigurationCommand({
      Bucket: 'backups',
      LifecycleConfiguration: { Rules: [rule] },
    }),
  );
  client.destroy();
}

interface Place {
  readonly mount: string;
  readonly directory: string;
  readonly endpoint: string;
  readonly signal: AbortSignal;
}

class Journey {
  readonly #provider: ProviderName;
  readonly #habits: Habits;
  readonly #place: Place;
  readonly #data: string;
  readonly #asked: { setting: string; line: string }[] = [];
  readonly #failures: Partial<Record<Step, string>> = {};
  readonly #notices = new Set<string>();

  constructor(provider: ProviderName, place: Place) {
    this.#provider = provider;
    this.#habits = providers[provider];
    this.#place = place;
    this.#data = join(place.mount, 'data');
  }

  async run(): Promise<ProviderOutcome> {
    await shell`btrfs subvolume create ${this.#data}`;
    await mkdir(join(this.#place.mount, 'snapshots'));
    await this.#backUpAtLast();
    if (this.#failures.backup === undefined) {
      this.#note('backup', await this.#backUp('incremental'));
      this.#note('verify', await this.#run('verify.ts', '--deep'));
      await this.#restore('restore');
      this.#note('backup', await this.#backUp('full'));
      this.#note('prune', await this.#run('prune.ts', '--apply'));
      await this.#archive();
    }
    return {
      provider: this.#provider,
      settings: this.#asked,
      failures: this.#failures,
      notices: [...this.#notices],
    };
  }

  #note(step: Step, { isDone, line, notices }: Said): void {
    if (!isDone) this.#failures[step] ??= line;
    else if (step === 'backup') for (const notice of notices) this.#notices.add(notice);
  }

  /** The first backup, with one more setting each time that the one before asked for one. */
  async #backUpAtLast(): Promise<void> {
    for (;;) {
      const said = await this.#backUp('full');
      const setting = said.isDone ? undefined : settingAskedFor(said.line);
      if (setting === undefined || this.#asked.some((asked) => asked.setting === setting)) {
        this.#note('backup', said);
        return;
      }
      this.#asked.push({ setting, line: said.line });
    }
  }

  async #backUp(kind: 'full' | 'incremental'): Promise<Said> {
    await writeFile(join(this.#data, 'file'), randomBytes(22 * MIB));
    const said = await this.#run('backup.ts', '--kind', kind);
    // What is seen late is not there for the next command yet.
    await sleep(this.#habits.seenAfterMs ?? 0);
    return said;
  }

  /** A backup in an archive class, and its restore, under a prefix of their own. */
  async #archive(): Promise<void> {
    const own = {
      STORAGE_CLASS_CHUNKS: 'DEEP_ARCHIVE',
      S3_PREFIX: 'cold',
      RUN_DIR: join(this.#place.directory, 'cold'),
    };
    const settings = Object.entries(own).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
    const said = await this.#run('backup.ts', '--kind', 'full', ...settings);
    this.#note('archive', said);
    await sleep(this.#habits.seenAfterMs ?? 0);
    if (said.isDone) await this.#restore('archive', ...settings);
  }

  async #restore(step: Step, ...args: readonly string[]): Promise<void> {
    const target = join(this.#place.mount, 'restored');
    const said = await this.#run('restore.ts', '--subvolume', 'data', '--target', target, ...args);
    this.#note(step, said);
    if (!said.isDone) return;
    if (!isDeepStrictEqual(await treeDigest(target), await treeDigest(this.#data)))
      this.#failures[step] = 'the restored tree is another one';
    await shell`btrfs subvolume delete ${target}`;
  }

  async #run(script: string, ...args: readonly string[]): Promise<Said> {
    this.#place.signal.throwIfAborted();
    const config = await this.#writeSettings();
    const { exitCode, stderr } = await scripts`scripts/tsx.sh scripts/${script} --config ${config} ${args}`;
    return saidOn(exitCode ?? 1, stderr);
  }

  async #writeSettings(): Promise<string> {
    const { mount, directory, endpoint } = this.#place;
    const settings: Record<string, string> = {
      SUBVOLUMES: `data=${this.#data}`,
      SNAPSHOT_DIR: join(mount, 'snapshots'),
      RUN_DIR: join(directory, 'run'),
      S3_BUCKET: 'backups',
      S3_PREFIX: 'host',
      AWS_REGION: 'us-east-1',
      AWS_ENDPOINT_URL_S3: endpoint,
      AWS_ACCESS_KEY_ID: 'played',
      AWS_SECRET_ACCESS_KEY: secret,
      AWS_EC2_METADATA_DISABLED: 'true',
      STORAGE_CLASS_CHUNKS: 'STANDARD',
      PART_SIZE: '5MiB',
      CHUNK_SIZE: '100MiB',
      KEEP_GENERATIONS: '1',
      S3_ALLOW_HTTP: 'true',
      LOG_FORMAT: 'json',
    };
    for (const { setting } of this.#asked) {
      const [key = '', value = ''] = setting.split('=');
      settings[key] = value;
    }
    const path = join(directory, 'backup.env');
    const lines = Object.entries(settings).map(([key, value]) => `${key}=${value}\n`);
    await writeFile(path, lines.join(''), { mode: 0o600 });
    return path;
  }
}
