/** A bucket full of synthetic backups: a full one and incrementals on it, each of one small chunk, all of them sound. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import pMap from 'p-map';
import { type Manifest, serialiseDocument } from '../../lib/core/format/manifest.ts';
import {
  type BackupKind,
  formatTimestamp,
  SubvolumeKeys,
  snapshotName,
} from '../../lib/core/format/names.ts';
import type { RunningSink } from './sink/start-sink.ts';

const subvolume = 'data';
const firstMs = Date.UTC(2020, 0, 1);
const stepMs = 3_600_000;
const chunkBytes = Buffer.alloc(64, 'chunk');
const requestsAtOnce = 16;

/** Backup number `index` of the chain, the full one being 0. */
export function syntheticManifest(
  prefix: string,
  index: number,
): { readonly key: string; readonly manifest: Manifest } {
  const keys = new SubvolumeKeys(prefix, subvolume);
  const [kind, created] = placeOf(index);
  const name = snapshotName(subvolume, created, kind);
  const digest = createHash('sha256').update(chunkBytes);
  const sha256 = digest.copy().digest('hex');
  const part = digest.digest('base64');
  const [parentKind, parentCreated] = placeOf(index - 1);
  const isFull = kind === 'full';
  const manifest: Manifest = {
    version: 1,
    subvolume,
    kind,
    created_at: created,
    snapshot: {
      name,
      path: `/snapshots/${name}`,
      uuid: uuidOf(index),
      parent_uuid: isFull ? null : uuidOf(index - 1),
      generation: index,
    },
    parent_manifest: isFull ? null : keys.manifest(parentKind, parentCreated),
    chunks: [
      {
        key: keys.chunk(kind, created, 0),
        size: chunkBytes.length,
        sha256,
        part_size: chunkBytes.length,
        parts: [part],
        checksum: part,
      },
    ],
    total_bytes: chunkBytes.length,
    chunk_size: chunkBytes.length,
    stream: { bytes: chunkBytes.length, sha256, protocol: 2, compressed_data: true },
    codec: { compress: 'none', encrypt: 'none' },
    host: 'bench',
    s3: { bucket: 'bench', region: 'us-east-1', storage_class: 'STANDARD', sse: 'AES256' },
  };
  return { key: keys.manifest(kind, created), manifest };
}

/** Puts a chain of `count` backups into a sink that speaks http. */
export async function fillBucket(sink: RunningSink, prefix: string, count: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: requestsAtOnce });
  try {
    const put = (key: string, body: string | Buffer) =>
      putObject(`${sink.endpoint}/${sink.bucket}/${key}`, body, agent);
    const indexes = Array.from({ length: count }, (_, index) => index);
    await pMap(
      indexes,
      async (index) => {
        const { key, manifest } = syntheticManifest(prefix, index);
        await put(key, serialiseDocument(manifest));
        for (const chunk of manifest.chunks) await put(chunk.key, chunkBytes);
      },
      { concurrency: requestsAtOnce },
    );
    const { key, manifest } = syntheticManifest(prefix, count - 1);
    const pointer = { manifest_key: key, kind: manifest.kind, created_at: manifest.created_at };
    await put(new SubvolumeKeys(prefix, subvolume).current, serialiseDocument(pointer));
  } finally {
    agent.destroy();
  }
}

async function putObject(url: string, body: string | Buffer, agent: Agent): Promise<void> {
  const headers = {
    'content-length': Buffer.byteLength(body),
    'x-amz-checksum-sha256': createHash('sha256').update(body).digest('base64'),
  };
  const sent = request(url, { method: 'PUT', agent, headers }).end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  response.resume();
  await once(response, 'end');
  if (response.statusCode !== 200) throw new Error(`the sink answered ${response.statusCode} to PUT ${url}`);
}

function placeOf(index: number): readonly [BackupKind, string] {
  return [index === 0 ? 'full' : 'incremental', formatTimestamp(new Date(firstMs + index * stepMs))];
}

function uuidOf(index: number): string {
  return `3a87e00f-d2f7-b845-9885-${index.toString(16).padStart(12, '0')}`;
}
