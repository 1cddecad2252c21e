/** Histories of a bucket, made up at random: what a prune has to find its way through, and what it must not touch. */
import fc from 'fast-check';
import type { BegunUpload, ListedObject } from '../../lib/core/format/inventory.ts';
import type { Manifest } from '../../lib/core/format/manifest.ts';
import {
  type BackupKind,
  formatTimestamp,
  SubvolumeKeys,
  snapshotName,
} from '../../lib/core/format/names.ts';
import type { PruneInput } from '../../lib/core/plan/prune/prune-plan.ts';
import type { ReadManifest } from '../../lib/core/plan/restorability.ts';

export const prefix = 'host with blanks/x';
const keys = new SubvolumeKeys(prefix, 'data');
const day = 86_400_000;
/** The server's clock, which goes forward by a day with each event; the host's jumps. */
const start = Date.UTC(2026, 0, 1);

/** One thing that happened; `days` is how far the host's clock moved before it, `pick` chooses among what was there. */
interface Event {
  readonly what:
    | 'full'
    | 'incremental'
    | 'fork'
    | 'unpointed'
    | 'failed'
    | 'upload'
    | 'stray'
    | 'stranger'
    | 'lose-chunk'
    | 'spoil-full'
    | 'begin';
  readonly days: number;
  readonly pick: number;
  readonly chunks: number;
}

const event: fc.Arbitrary<Event> = fc.record({
  what: fc.oneof(
    { weight: 24, arbitrary: fc.constant('incremental' as const) },
    { weight: 15, arbitrary: fc.constant('full' as const) },
    {
      weight: 9,
      arbitrary: fc.constantFrom('fork', 'unpointed', 'failed', 'upload', 'stray', 'stranger', 'begin'),
    },
    { weight: 1, arbitrary: fc.constantFrom('lose-chunk', 'spoil-full') },
  ),
  days: fc.integer({ min: -40, max: 40 }),
  pick: fc.nat(),
  chunks: fc.integer({ min: 1, max: 3 }),
});

/** A bucket with its past. */
export interface History {
  readonly objects: Map<string, ListedObject>;
  readonly uploads: BegunUpload[];
  readonly manifests: Map<string, ReadManifest>;
  readonly input: Omit<PruneInput, 'objects' | 'uploads' | 'manifests'>;
  /** Keys that nothing may touch: of strangers, texts, the pointer, unfinished backups of this host. */
  readonly untouchable: ReadonlySet<string>;
}

/** Any past of up to 40 events, to be pruned to 1 … 4 generations. */
export const histories: fc.Arbitrary<History> = fc
  .record({
    events: fc.array(event, { minLength: 1, maxLength: 40, size: 'max' }),
    keep: fc.integer({ min: 1, max: 4 }),
  })
  .map(({ events, keep }) => play(events, keep));

/** What planPrune is given of a history as it is now. */
export function inputOf({ objects, uploads, manifests, input }: History): PruneInput {
  const there = new Map([...manifests].filter(([key]) => objects.has(key)));
  return { ...input, objects: [...objects.values()], uploads, manifests: there };
}

function uuidOf(number: number): string {
  return `3a87e00f-d2f7-b845-9885-${number.toString(16).padStart(12, '0')}`;
}

function play(events: readonly Event[], keep: number): History {
  const objects = new Map<string, ListedObject>();
  const uploads: BegunUpload[] = [];
  const manifests = new Map<string, ReadManifest>();
  const untouchable = new Set<string>();
  const begun: { keys: string[]; parent: string | undefined } = { keys: [], parent: undefined };
  let pointer: string | undefined;
  let [serverMs, hostMs, number] = [start, start, 0];
  const store = (key: string, sizeBytes: number) =>
    objects.set(key, {
      key,
      sizeBytes,
      etag: `"${key.length}"`,
      storageClass: 'DEEP_ARCHIVE',
      modifiedAt: new Date(serverMs),
    });
  const storeChunks = (kind: BackupKind, timestamp: string, count: number) =>
    Array.from({ length: count }, (_, index) => {
      const key = keys.chunk(kind, timestamp, index);
      store(key, 100 + index);
      return { key, size: 100 + index, sha256: 'a'.repeat(64) };
    });
  const usable = () =>
    [...manifests].flatMap(([key, manifest]) => ('unusable' in manifest ? [] : [{ key, manifest }]));
  const publish = (
    kind: BackupKind,
    timestamp: string,
    count: number,
    parent: { readonly key: string; readonly manifest: Manifest } | undefined,
  ) => {
    const key = keys.manifest(kind, timestamp);
    const name = snapshotName('data', timestamp, kind);
    const chunks = storeChunks(kind, timestamp, count);
    manifests.set(key, {
      version: 1,
      subvolume: 'data',
      kind,
      created_at: timestamp,
      snapshot: {
        name,
        path: `/${name}`,
        uuid: uuidOf(++number),
        parent_uuid: parent?.manifest.snapshot.uuid ?? null,
      },
      parent_manifest: parent?.key ?? null,
      chunks,
      total_bytes: chunks.reduce((sum, { size }) => sum + size, 0),
      chunk_size: 100,
      s3: {},
    });
    store(key, 10);
    return key;
  };
  for (const { what, days, pick, chunks } of events) {
    serverMs += day;
    hostMs += days * day;
    const timestamp = formatTimestamp(new Date(hostMs));
    const isTaken = [...objects.keys(), ...uploads.map(({ key }) => key)].some((key) =>
      key.includes(timestamp),
    );
    if (isTaken) continue;
    const all = usable();
    const picked = all[pick % Math.max(1, all.length)];
    const last = all.find(({ key }) => key === pointer);
    if (what === 'full') pointer = publish('full', timestamp, chunks, undefined);
    else if (what === 'incremental' && last) pointer = publish('incremental', timestamp, chunks, last);
    else if (what === 'fork' && picked) pointer = publish('incremental', timestamp, chunks, picked);
    else if (what === 'unpointed') publish(picked ? 'incremental' : 'full', timestamp, chunks, picked);
    else if (what === 'failed') storeChunks(pick % 2 ? 'full' : 'incremental', timestamp, chunks);
    else if (what === 'upload') {
      const key = keys.chunk('full', timestamp, 0);
      uploads.push({ key, uploadId: `upload-${serverMs}`, initiatedAt: new Date(serverMs) });
    } else if (what === 'stray' && picked) {
      store(keys.chunk(picked.manifest.kind, picked.manifest.created_at, 9), 9);
    } else if (what === 'stranger') {
      const place = [keys.root, `${prefix}/`, `${keys.root}full/`, `${prefix}/subvol/`][pick % 4] ?? '';
      const key = `${place}${['note.txt', `chunk-${timestamp}-0.bin.bak`, `Chunk-${timestamp}-0.bin`][pick % 3]}`;
      store(key, 5);
      untouchable.add(key);
    } else if (what === 'lose-chunk' && picked) {
      objects.delete(picked.manifest.chunks[pick % picked.manifest.chunks.length]?.key ?? '');
    } else if (what === 'spoil-full' && picked?.manifest.kind === 'full') {
      manifests.set(picked.key, { unusable: 'is not JSON' });
    } else if (what === 'begin' && begun.keys.length === 0) {
      const kind = last ? 'incremental' : 'full';
      begun.keys.push(keys.manifest(kind, timestamp));
      begun.parent = last?.key;
      for (const { key } of storeChunks(kind, timestamp, chunks)) untouchable.add(key);
    }
  }
  for (const key of [`${prefix}/RESTORE.txt`, ...(pointer === undefined ? [] : [keys.current])]) {
    store(key, 3);
    untouchable.add(key);
  }
  return {
    objects,
    uploads,
    manifests,
    untouchable,
    input: {
      prefix,
      subvolume: 'data',
      keep,
      now: new Date(serverMs + day),
      pointer: pointer === undefined ? undefined : { manifestKey: pointer },
      begun: { manifestKeys: begun.keys, parentKey: begun.parent },
      pruned: [],
    },
  };
}
