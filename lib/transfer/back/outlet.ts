/** Where the verified parts of a chunk go, one after the other: into a sink as they are, or through a codec first. */
import type { Sink } from './fetching.ts';

/** A part whose bytes are those of the manifest. */
export interface VerifiedPart {
  /** Counts from 1. */
  readonly number: number;
  readonly bytes: Uint8Array;
  /** To be called once when the bytes are not needed any more. */
  readonly release: () => void;
}

/** Takes the parts of one chunk. */
export interface Outlet {
  /** Takes the next part; resolves when there is room for another. @throws what went wrong with an earlier one */
  take(part: VerifiedPart): Promise<void>;
  /** Resolves when the sink has taken all. */
  finish(): Promise<void>;
  /** Resolves when nothing uses the memory of a part any more, however it went; to be called when its signal is aborted. */
  settled(): Promise<unknown>;
}

/** Hands parts to a sink as they are. */
export function openPlainOutlet(sink: Sink): Outlet {
  let writing = Promise.resolve();
  return {
    async take({ bytes, release }) {
      // The next part is hashed while this one is written.
      await writing;
      writing = sink(bytes).finally(release);
      writing.catch(() => undefined);
    },
    finish: () => writing,
    settled: () => writing.catch(() => undefined),
  };
}
