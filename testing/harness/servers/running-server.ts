/** A server that this process started, whichever it is. */
import type { BucketAccess } from './bucket-access.ts';
import type { Feature } from './features.ts';

/** A running server with a bucket, and what it lacks of S3. */
export interface RunningServer extends BucketAccess {
  readonly lacks: ReadonlySet<Feature>;
  /** Ends it and waits until it is gone. */
  stop(): Promise<void>;
}
