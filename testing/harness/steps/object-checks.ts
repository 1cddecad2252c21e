/** What has to hold of the objects of a backup, judged without the tool's own code. */
import { createHash } from 'node:crypto';
import type { StateWithS3 } from '../runner/demand-setup.ts';
import { isFrozen } from '../runner/frozen.ts';
import type { Step } from '../runner/run-step.ts';
import type { HarnessBucket } from './bucket.ts';
import type { Checks } from './check.ts';
import type { ManifestOfRun } from './manifests.ts';
import type { ServedRequest } from './served-requests.ts';

/**
 * Chunks: size, class, encryption, checksum and, where they can be read, their bytes.
 * @returns how many of them cannot be read before they are thawed
 */
export async function checkObjects(
  checks: Checks,
  { settings }: Step<string>,
  { s3 }: StateWithS3,
  bucket: HarnessBucket,
  { manifest }: ManifestOfRun,
): Promise<number> {
  const { STORAGE_CLASS_CHUNKS: storageClass = 'DEEP_ARCHIVE', SSE: sse = 'AES256' } = settings.tool;
  let frozen = 0;
  for (const [index, chunk] of manifest.chunks.entries()) {
    const { key, size, sha256, part_size = size, parts = [], checksum } = chunk;
    const head = await bucket.head(key);
    const at = key.slice(bucket.prefix.length + 1);
    checks.hold(head.ContentLength === size, `${at} has its size`, head.ContentLength);
    checks.hold((head.StorageClass ?? 'STANDARD') === storageClass, `${at} has its class`, head.StorageClass);
    if (sse !== 'none' && !s3.lacks.includes('encryption')) {
      checks.hold(head.ServerSideEncryption === sse, `${at} is encrypted`, head.ServerSideEncryption);
    }
    if (!s3.lacks.includes('checksums')) {
      const expected = size > part_size ? composite(parts) : parts[0];
      checks.hold(head.ChecksumSHA256 === expected, `${at}: S3 keeps its SHA-256`, head.ChecksumSHA256);
      checks.hold(size <= part_size || checksum === expected, `${at}: the manifest names it`, checksum);
    }
    if (isFrozen(head) && !s3.lacks.includes('archive')) frozen += 1;
    else {
      const bytes = await bucket.read(key);
      checks.hold(hashOf(bytes) === sha256, `${at} has its bytes`);
      if (index === 0) checks.hold(streamKind(bytes) === manifest.kind, `${at} begins a stream of its kind`);
    }
  }
  return frozen;
}

/**
 * What a send stream begins with: magic and version, then the length of a command and its number, which is 1 for a subvolume
 * and 2 for a snapshot on a parent (fs/btrfs/send.h of Linux, struct btrfs_stream_header and enum btrfs_send_cmd).
 */
function streamKind(bytes: Buffer): string {
  if (bytes.toString('latin1', 0, 13) !== 'btrfs-stream\0') return 'no stream';
  return ['none', 'full', 'incremental'][bytes.readUInt16LE(21)] ?? 'unknown';
}

/** Manifests, pointers and the text for people: their class and encryption. */
export async function checkDocument(
  checks: Checks,
  { settings }: Step<string>,
  { s3 }: StateWithS3,
  bucket: HarnessBucket,
  key: string,
): Promise<void> {
  const { STORAGE_CLASS_MANIFEST: storageClass = 'STANDARD', SSE: sse = 'AES256' } = settings.tool;
  const head = await bucket.head(key);
  const at = key.slice(bucket.prefix.length + 1);
  checks.hold((head.StorageClass ?? 'STANDARD') === storageClass, `${at} has its class`, head.StorageClass);
  if (sse === 'none' || s3.lacks.includes('encryption')) return;
  checks.hold(head.ServerSideEncryption === sse, `${at} is encrypted`, head.ServerSideEncryption);
}

/** Whether a text explains the restore by hand, for this bucket. */
export function isRecoveryText({ name, prefix }: HarnessBucket, text = ''): boolean {
  return [`bucket=${name}`, `Below ${prefix}/subvol/`, 'sha256sum', 'btrfs receive'].every((words) =>
    text.includes(words),
  );
}

/** Chunks, then the manifest, then the pointer, by the server's own record. */
export function checkOrder(
  checks: Checks,
  served: readonly ServedRequest[],
  { chunks, subvolume }: ManifestOfRun['manifest'],
  { manifest_key }: ManifestOfRun['backup'],
  { prefix }: HarnessBucket,
): void {
  const written = ({ operation, status }: ServedRequest) =>
    status === 200 && (operation === 'PutObject' || operation === 'CompleteMultipartUpload');
  const keys = new Set(chunks.map(({ key }) => key));
  const lastChunk = served.findLastIndex((each) => written(each) && keys.has(each.key ?? ''));
  const manifest = served.findIndex((each) => written(each) && each.key === manifest_key);
  const pointer = served.findIndex(
    (each, at) =>
      at > lastChunk && written(each) && each.key === `${prefix}/subvol/${subvolume}/current.json`,
  );
  const order = [lastChunk, manifest, pointer];
  checks.hold(
    lastChunk >= 0 && lastChunk < manifest && manifest < pointer,
    `${manifest_key} came in order`,
    order,
  );
}

/** The SHA-256 of the parts' SHA-256s, and their number: what S3 calls a composite checksum. */
function composite(parts: readonly string[]): string {
  const whole = createHash('sha256');
  for (const part of parts) whole.update(Buffer.from(part, 'base64'));
  return `${whole.digest('base64')}-${parts.length}`;
}

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
