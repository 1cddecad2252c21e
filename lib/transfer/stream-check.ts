/**
 * Compares what a stream says of itself with what it has to be. A stream that does not fit its parent makes `btrfs receive` fail, or
 * build another tree; a path that is too long makes it fail. So neither is published, nor handed to receive.
 */
import { ToolError } from '../core/errors.ts';
import { type Manifest, streamUuid } from '../core/format/manifest.ts';
import type { SnapshotFile } from '../core/format/run-files.ts';
import { printable } from '../core/printable.ts';
import { StreamFormatError } from '../core/stream/commands.ts';
import { MAX_PATH_BYTES, PathTooLong } from '../core/stream/path-limits.ts';
import type { StreamHead, SubvolumeState } from '../core/stream/stream-head.ts';

/** What a stream has to be; undefined where it is unknown. */
export interface ExpectedStream {
  readonly uuid: string | undefined;
  readonly transid?: number | undefined;
  /** Null for a full stream. */
  readonly parent: { readonly uuid: string | undefined; readonly transid: number | undefined } | null;
}

/** What the stream of a planned backup has to be. */
export function expectedOfPlan({ snapshot, parent }: SnapshotFile): ExpectedStream {
  return {
    uuid: snapshot.received_uuid ?? snapshot.uuid,
    parent: parent && { uuid: parent.stream_uuid, transid: parent.transid },
  };
}

/**
 * What the stream of a published backup has to be.
 * @param parent head of the stream that was received before it, which has the state that older manifests do not record.
 */
export function expectedOfManifest(
  { snapshot, parent_manifest }: Manifest,
  parent: SubvolumeState | undefined,
): ExpectedStream {
  // Of a copy of its parent the stream names the state that the copy had.
  const parentTransid = snapshot.parent_continued ? snapshot.parent_transid : parent?.transid;
  return {
    uuid: streamUuid(snapshot) ?? undefined,
    transid: snapshot.transid,
    parent: parent_manifest === null ? null : { uuid: parent?.uuid, transid: parentTransid },
  };
}

/** Why a stream does not fit, as a clause; undefined when it does. */
export function streamProblem(head: StreamHead, expected: ExpectedStream): string | undefined {
  if (differ(expected.uuid, head.uuid)) return `is of the snapshot ${head.uuid} instead of ${expected.uuid}`;
  if (differ(expected.transid, head.transid)) {
    return `has state ${head.transid} of its snapshot instead of ${expected.transid}`;
  }
  if (expected.parent === null) return head.parent ? 'is incremental, but must be full' : undefined;
  if (!head.parent) return 'is full, but must be incremental';
  if (differ(expected.parent.uuid, head.parent.uuid)) {
    return `builds on the snapshot ${head.parent.uuid} instead of ${expected.parent.uuid}`;
  }
  if (differ(expected.parent.transid, head.parent.transid)) {
    return `builds on state ${head.parent.transid} of its parent snapshot, which was backed up in state ${expected.parent.transid}: the snapshot was changed in between`;
  }
  return undefined;
}

function differ<Value>(expected: Value | undefined, found: Value): boolean {
  return expected !== undefined && expected !== found;
}

/** A stream that no restore could apply, whatever is tried again. */
export class UnfitStream extends ToolError {}

/**
 * The error for what an inspector has found in a stream; anything else as it is.
 * @param what the stream, for the message
 * @param hint what to do about a path that is too long
 */
export function explainStreamError(error: unknown, what: string, hint: string): unknown {
  if (error instanceof PathTooLong) {
    const path = printable(new TextDecoder().decode(error.path));
    const short = path.length > 160 ? `${path.slice(0, 80)}…${path.slice(-80)}` : path;
    return new UnfitStream(
      `${what} cannot be restored: a path in it has ${error.path.length} bytes, and btrfs receive takes ${MAX_PATH_BYTES}: ${short}`,
      {
        kind: 'damage',
        hint,
        childOutput: `the whole path: ${path}`,
        cause: error,
      },
    );
  }
  if (!(error instanceof StreamFormatError)) return error;
  return new ToolError(`${what} is not a stream that btrfs receive can read: ${error.message}`, {
    kind: 'damage',
    cause: error,
  });
}
