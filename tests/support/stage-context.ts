/** What a stage is given, for tests: warnings and progress are kept to be looked at. */
import { after } from 'node:test';
import { endingWithin } from '../../lib/edge/process/abort-scope.ts';
import type { Bucket } from '../../lib/edge/s3/s3-client.ts';
import type { StageContext } from '../../lib/stage/context.ts';
import { TransferMemory } from '../../lib/transfer/memory/transfer-memory.ts';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { settingsOf } from './settings.ts';

/** A context that keeps what was reported to it. */
export interface TestContext {
  readonly context: StageContext;
  readonly warnings: string[];
  /** Bytes that were added to progress. */
  readonly progress: { bytes: number };
}

/** A context over a bucket, with settings beside the defaults. */
export function stageContext(
  bucket: Bucket,
  settings: Readonly<Record<string, string>> = {},
  signal: AbortSignal = endingWithin(new AbortController().signal).signal,
): TestContext {
  const warnings: string[] = [];
  const progress = { bytes: 0 };
  const values = settingsOf({ S3_BUCKET: bucket.name, ...settings });
  const memory = new TransferMemory(values.CONCURRENCY + 1);
  // The worker would keep the test's process alive.
  after(() => memory.close());
  const context: StageContext = {
    settings: values,
    bucket,
    memory,
    log: { debug: () => undefined, info: () => undefined, warn: (message) => warnings.push(message) },
    startProgress: () => ({
      expect: () => undefined,
      add: (bytes) => {
        progress.bytes += bytes;
      },
      waitFor: () => undefined,
      stop: () => undefined,
    }),
    signal,
    now: () => new Date(0),
    hostName: 'host',
    hostId: undefined,
    checkout: repositoryRoot,
  };
  return { context, warnings, progress };
}
