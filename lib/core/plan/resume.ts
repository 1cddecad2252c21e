/** What an earlier, unfinished upload left in its journal, and whether it is of use to this one. */
import type { JournalEvent, StoredChunk, StoredPart, UploadIdentity } from '../format/run-files.ts';

/** A chunk that an earlier run began. */
export interface EarlierChunk {
  readonly key: string;
  /** Undefined when the chunk was stored with a single request. */
  readonly uploadId: string | undefined;
  readonly parts: ReadonlyMap<number, StoredPart>;
  readonly completed: StoredChunk | undefined;
}

/** The chunks of an earlier run by index, and who the run was. */
export interface EarlierUpload {
  readonly identity: UploadIdentity | undefined;
  readonly chunks: ReadonlyMap<number, EarlierChunk>;
  /** ETags, by key, of what we stored in this bucket, under whatever settings: only over that may we write. */
  readonly own: ReadonlyMap<string, string>;
}

/** Sums the events of a journal up; later events of a chunk replace earlier ones. */
export function replayJournal(events: readonly JournalEvent[]): EarlierUpload {
  let identity: UploadIdentity | undefined;
  const chunks = new Map<number, EarlierChunk & { readonly parts: Map<number, StoredPart> }>();
  const own = new Map<string, string>();
  for (const event of events) {
    if (event.event === 'upload-begun') {
      const { event: _, ...rest } = event;
      if (identity?.server !== rest.server || identity.bucket !== rest.bucket) own.clear();
      identity = rest;
      chunks.clear();
    } else if (event.event === 'chunk-begun') {
      const { key, upload_id: uploadId } = event;
      chunks.set(event.index, { key, uploadId, parts: new Map(), completed: undefined });
    } else if (event.event === 'parts-forgotten') {
      const parts = chunks.get(event.index)?.parts;
      for (let number = event.from; number <= event.to; number++) parts?.delete(number);
    } else if (event.event === 'part-stored') {
      const { event: _, index, ...part } = event;
      chunks.get(index)?.parts.set(part.number, part);
    } else {
      const { event: _, ...completed } = event;
      own.set(event.key, event.etag);
      const chunk = chunks.get(event.index);
      chunks.set(event.index, {
        key: event.key,
        uploadId: chunk?.uploadId,
        parts: chunk?.parts ?? new Map(),
        completed,
      });
    }
  }
  return { identity, chunks, own };
}

/** The multipart uploads that an earlier run began and did not complete. */
export function unfinishedUploads(
  earlier: EarlierUpload,
): readonly { readonly key: string; readonly uploadId: string }[] {
  return [...earlier.chunks.values()].flatMap(({ key, uploadId, completed }) =>
    uploadId !== undefined && !completed ? [{ key, uploadId }] : [],
  );
}

/** What is left of an earlier run when one of its chunks is of no use. */
export function withoutChunk(earlier: EarlierUpload, index: number): EarlierUpload {
  return { ...earlier, chunks: new Map([...earlier.chunks].filter(([other]) => other !== index)) };
}

/** What must be the same for two uploads to store the same bytes under the same keys, in words of the user's. */
const settingNames: Readonly<Record<keyof UploadIdentity, string>> = {
  snapshot_uuid: 'the snapshot',
  parent_uuid: 'the parent snapshot',
  server: 'AWS_ENDPOINT_URL_S3 or AWS_REGION',
  bucket: 'S3_BUCKET',
  prefix: 'S3_PREFIX',
  storage_class: 'STORAGE_CLASS_CHUNKS',
  sse: 'SSE',
  chunk_size: 'CHUNK_SIZE',
  part_size: 'PART_SIZE',
  checksums: 'S3_CHECKSUMS',
  compress: 'COMPRESS',
  encrypt_to: 'ENCRYPT_TO',
};

/** In what two uploads differ, as settings are called; empty when the parts of one are of use to the other. */
export function differencesOf(a: UploadIdentity, b: UploadIdentity): readonly string[] {
  const keys = Object.keys(settingNames) as (keyof UploadIdentity)[];
  return keys.filter((key) => a[key] !== b[key]).map((key) => settingNames[key]);
}
