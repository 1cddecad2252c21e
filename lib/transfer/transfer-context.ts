/** What the transfer of bytes is given: where from or to, its memory, somewhere to report to, and the signal that ends it. */
import type { SettingValues } from '../core/settings/settings.ts';
import type { Bucket } from '../edge/s3/s3-client.ts';
import type { TransferMemory } from './memory/transfer-memory.ts';

/** Lines for the log; each is a sentence that a person can act on. */
export interface Log {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
}

/** A running measure of bytes. */
export interface Progress {
  /** Sets how many bytes are expected in all. */
  expect(totalBytes: number): void;
  /** Adds bytes; negative when some have to be done again. */
  add(bytes: number): void;
  /** Names what the transfer waits for, until bytes are added again. */
  waitFor(what: string): void;
  stop(): void;
}

/** Handed to every transfer. */
export interface TransferContext {
  readonly settings: SettingValues;
  readonly bucket: Bucket;
  readonly memory: TransferMemory;
  readonly log: Log;
  readonly signal: AbortSignal;
}
