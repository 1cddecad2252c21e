/**
 * Backups in the layout of `btrfs_to_s3`, the Python tool, written by hand: no UUIDs, chunk numbers without leading zeros, a SHA-256 of
 * each chunk and none of its parts, and nothing about the stream.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { shell } from '../../testing/harness/processes/shell.ts';

/** What is stored, by key. */
export type StoredObjects = ReadonlyMap<string, Buffer>;

/** A snapshot, and when the tool backed it up. */
export interface TakenSnapshot {
  readonly path: string;
  readonly name: string;
  readonly createdAt: string;
}

/**
 * Writes a chain: the first snapshot in full, each other one against that before it.
 * @param directory where streams are put meanwhile
 * @param asSent what `btrfs send` made of a stream
 */
export async function pythonBackups(
  prefix: string,
  subvolume: string,
  snapshots: readonly TakenSnapshot[],
  { directory, chunkBytes }: { readonly directory: string; readonly chunkBytes: number },
  asSent = (stream: Buffer) => stream,
): Promise<StoredObjects> {
  const objects = new Map<string, Buffer>();
  const root = `${prefix}/subvol/${subvolume}`;
  let before: { readonly path: string; readonly key: string } | undefined;
  for (const { path, name, createdAt } of snapshots) {
    const kind = before ? 'incremental' : 'full';
    const streamPath = join(directory, `${createdAt}.stream`);
    await shell`btrfs send --quiet ${before ? ['-p', before.path] : []} -f ${streamPath} ${path}`;
    const stream = asSent(await readFile(streamPath));
    const chunks = [];
    for (let index = 0; index * chunkBytes < stream.length; index++) {
      const bytes = stream.subarray(index * chunkBytes, (index + 1) * chunkBytes);
      const key = `${root}/${kind}/chunk-${createdAt}-${index}.bin`;
      objects.set(key, bytes);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      chunks.push({ key, size: bytes.length, sha256, etag: null });
    }
    const key = `${root}/${kind}/manifest-${createdAt}.json`;
    const manifest = {
      version: 1,
      subvolume,
      kind,
      created_at: createdAt,
      snapshot: { name, path, uuid: null, parent_uuid: null },
      parent_manifest: before?.key ?? null,
      chunks,
      total_bytes: stream.length,
      chunk_size: chunkBytes,
      s3: { storage_class: 'STANDARD' },
    };
    objects.set(key, Buffer.from(JSON.stringify(manifest)));
    const pointer = { manifest_key: key, kind, created_at: createdAt };
    objects.set(`${root}/current.json`, Buffer.from(JSON.stringify(pointer)));
    before = { path, key };
  }
  return objects;
}
