/** A bucket that only deletes: from a map, key by key and in any order, as S3 does with the keys of one request. */
import { Agent } from 'node:http';
import {
  AbortMultipartUploadCommand,
  DeleteObjectsCommand,
  GetObjectRetentionCommand,
} from '@aws-sdk/client-s3';
import { ConnectionPool } from '../../lib/edge/http/connection-pool.ts';
import { RateLimiter } from '../../lib/edge/process/rate-limiter.ts';
import { Retrier } from '../../lib/edge/s3/requests/retry.ts';
import type { Bucket } from '../../lib/edge/s3/s3-client.ts';
import { ServerHabits } from '../../lib/edge/s3/server/habits.ts';

/** Stands for SIGKILL: nothing comes after it. */
export class Killed extends Error {}

export interface DeletingOptions {
  readonly objects: Map<string, unknown>;
  readonly prefix: string;
  /** Keys that may not be deleted. */
  readonly denied?: ReadonlySet<string>;
  /** Turns the keys of one request into the order in which they go. */
  readonly order?: (keys: readonly string[]) => readonly string[];
  /** Called after each key; what it throws ends the request. */
  readonly onDeleted: (key: string) => void;
  readonly onAborted?: (uploadId: string) => void;
}

/** Opens it. */
export function deletingBucket(options: DeletingOptions): Bucket {
  const { objects, denied = new Set(), order = (keys) => keys, onDeleted, onAborted } = options;
  const send = async (command: unknown): Promise<unknown> => {
    if (command instanceof DeleteObjectsCommand) {
      const wanted = (command.input.Delete?.Objects ?? []).map(({ Key = '' }) => Key);
      if (wanted.length === 0 || wanted.length > 1000) throw new Error(`${wanted.length} keys in a request`);
      const Errors = [];
      for (const key of order(wanted)) {
        if (denied.has(key)) Errors.push({ Key: key, Code: 'AccessDenied', Message: 'no' });
        else {
          objects.delete(key);
          onDeleted(key);
        }
      }
      return { Errors };
    }
    if (command instanceof AbortMultipartUploadCommand) {
      onAborted?.(command.input.UploadId ?? '');
      return {};
    }
    if (command instanceof GetObjectRetentionCommand) throw new Error('no retention');
    throw new Error(`unexpected ${String(command)}`);
  };
  const { signal } = new AbortController();
  return {
    client: { send } as unknown as Bucket['client'],
    name: 'bucket',
    prefix: options.prefix,
    region: 'us-east-1',
    isAws: false,
    habits: new ServerHabits('auto', () => undefined),
    server: 'nowhere',
    signal,
    limits: { upload: new RateLimiter([]), download: new RateLimiter([]) },
    retrier: new Retrier({
      retryForMs: 0,
      concurrency: 4,
      onRetry: () => undefined,
      onSlowDown: () => undefined,
    }),
    connections: new ConnectionPool({ connectMs: 1, idleMs: 1 }),
    agents: { httpAgent: new Agent(), httpsAgent: new Agent() },
    close: () => undefined,
  };
}
