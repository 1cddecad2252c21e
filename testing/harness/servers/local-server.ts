/** The embedded S3 server in a process of its own, as the other side of a network would be. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { repositoryRoot } from '../test-directory.ts';
import type { RunningServer } from './running-server.ts';

/** Where its data goes, its bucket, and what it sees of the environment. */
export interface ServerProcessOptions {
  readonly directory: string;
  readonly bucket: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Further options of the server, such as `--thaw-delay-ms=100`. */
  readonly options?: readonly string[];
  /**
   * A file for what the server has to say. Where it is given, the server goes on when this process ends, however it ends;
   * whoever gives it has to find the server again, by its environment. Without it the server ends with this process.
   */
  readonly outliveWithLog?: string;
}

const region = 'us-east-1';
const mainPath = join(import.meta.dirname, '../../s3-server/main.ts');
const guardPath = join(import.meta.dirname, '../processes/end-with-parent.ts');

/**
 * Starts a server on a free port of 127.0.0.1, with keys that are made for it.
 * @throws with the server's own words when it does not start.
 */
export async function startServerProcess(options: ServerProcessOptions): Promise<RunningServer> {
  const accessKeyId = `AK${randomBytes(9).toString('hex').toUpperCase()}`;
  const secretAccessKey = randomBytes(30).toString('base64url');
  const environment = {
    ...options.environment,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
  };
  const child = await spawnServer(options, environment);
  const ended = once(child, 'close');
  const complaint = child.stderr === null ? `see ${options.outliveWithLog}` : text(child.stderr);
  const endpoint = await Promise.race([firstLine(child), ended.then(() => undefined)]);
  if (endpoint === undefined) throw new Error(`the S3 server did not start: ${(await complaint).trim()}`);
  if (options.outliveWithLog !== undefined) {
    child.stdout?.destroy();
    child.unref();
  }
  return {
    endpoint,
    region,
    bucket: options.bucket,
    accessKeyId,
    secretAccessKey,
    lacks: new Set(),
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

async function spawnServer(
  { directory, bucket, options = [], outliveWithLog }: ServerProcessOptions,
  env: Readonly<Record<string, string>>,
): Promise<ChildProcess> {
  const guard = outliveWithLog === undefined ? ['--import', guardPath] : [];
  const args = ['--directory', directory, '--bucket', bucket, '--region', region, ...options];
  const log = outliveWithLog === undefined ? undefined : await open(outliveWithLog, 'a', 0o600);
  try {
    return spawn(process.execPath, ['--import', 'tsx', ...guard, mainPath, ...args], {
      cwd: repositoryRoot,
      // In a group of its own, so that Ctrl-C in a terminal does not end it under the commands that still use it.
      detached: true,
      stdio: [log === undefined ? 'pipe' : 'ignore', 'pipe', log?.fd ?? 'pipe'],
      env,
    });
  } finally {
    await log?.close();
  }
}

async function firstLine({ stdout }: ChildProcess): Promise<string | undefined> {
  if (stdout === null) return undefined;
  const [line] = await once(createInterface({ input: stdout }), 'line');
  return line;
}
