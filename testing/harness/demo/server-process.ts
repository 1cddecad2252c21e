/** The embedded S3 server in a process of its own, as the other side of a network would be. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { repositoryRoot } from '../test-directory.ts';

/** A bucket that can be reached, and the keys to it. */
export interface BucketAccess {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** A running server. */
export interface ServerProcess extends BucketAccess {
  /** Ends it and waits until it is gone. */
  stop(): Promise<void>;
}

/** Where its data goes, its bucket, and what it sees of the environment. */
export interface ServerProcessOptions {
  readonly directory: string;
  readonly bucket: string;
  readonly environment: Readonly<Record<string, string>>;
}

const region = 'us-east-1';

/**
 * Starts a server on a free port of 127.0.0.1, with keys that are made for it.
 * @throws with the server's own words when it does not start.
 */
export async function startServerProcess(options: ServerProcessOptions): Promise<ServerProcess> {
  const accessKeyId = `AK${randomBytes(9).toString('hex').toUpperCase()}`;
  const secretAccessKey = randomBytes(30).toString('base64url');
  const [main, guard] = ['../s3-server/main.ts', './end-with-parent.ts'].map((file) =>
    join(import.meta.dirname, file),
  );
  const child = spawn(
    process.execPath,
    [
      ...['--import', 'tsx', '--import', `${guard}`, `${main}`],
      ...['--directory', options.directory, '--bucket', options.bucket, '--region', region],
    ],
    {
      cwd: repositoryRoot,
      // In a group of its own, so that Ctrl-C in a terminal does not end it under the commands that still use it.
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: {
        ...options.environment,
        AWS_ACCESS_KEY_ID: accessKeyId,
        AWS_SECRET_ACCESS_KEY: secretAccessKey,
      },
    },
  );
  const ended = once(child, 'close');
  const complaint = text(child.stderr);
  const [first] = await Promise.race([once(createInterface({ input: child.stdout }), 'line'), ended]);
  if (typeof first !== 'string') throw new Error(`the S3 server did not start: ${(await complaint).trim()}`);
  return {
    endpoint: first,
    region,
    bucket: options.bucket,
    accessKeyId,
    secretAccessKey,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}
