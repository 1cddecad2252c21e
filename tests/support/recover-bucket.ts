/** A bucket of the stand-in for aws with a full and an incremental backup of two chunks each, and recover.sh for it. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RECOVER_TEMPLATE, recoverScript } from '../../lib/core/recovery/recover-script.ts';
import type { RecoveryPlace } from '../../lib/core/recovery/recovery-place.ts';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';
import { standInAws } from './aws-standin.ts';
import { type BareHost, bareHost } from './recover-sh.ts';

export const template = readFileSync(join(repositoryRoot, RECOVER_TEMPLATE), 'utf8');
const prefix = 'fleet/host-1';

/** Where the stand-in is. */
export const place: RecoveryPlace = {
  bucket: 'my-backups',
  prefix,
  region: 'eu-central-1',
  endpoint: 'https://s3.example.net:9000',
  isPathStyle: true,
};

/** When its backups were made. */
export const [first, second] = ['20260101T020000Z', '20260108T020000Z'] as const;
/** What the keys of its subvolume begin with. */
export const root = `${prefix}/subvol/data`;
/** Of a part, whichever. */
export const sha = `${'A'.repeat(43)}=`;
/** Keys of its manifests. */
export const keyOf = {
  full: `${root}/full/manifest-${first}.json`,
  incremental: `${root}/incremental/manifest-${second}.json`,
};
/** A UUID for each digit. */
export const uuidOf = (digit: number) => `3a87e00f-d2f7-b845-9885-00000000000${digit}`;

/** A manifest that anything may be wrong with. */
// biome-ignore lint/suspicious/noExplicitAny: tests put anything into it
export type Document = any;

/** A sound one. */
export function manifestOf(kind: 'full' | 'incremental'): Document {
  const time = kind === 'full' ? first : second;
  return {
    version: 1,
    subvolume: 'data',
    kind,
    created_at: time,
    snapshot: {
      name: 'snapshot',
      path: '/x/snapshot',
      uuid: uuidOf(kind === 'full' ? 1 : 2),
      parent_uuid: kind === 'full' ? null : uuidOf(1),
      transid: kind === 'full' ? 10 : 20,
      ...(kind === 'incremental' && { parent_transid: 10 }),
      mtime: '1767319200.000000001',
    },
    parent_manifest: kind === 'full' ? null : keyOf.full,
    chunks: [0, 1].map((index) => ({
      key: `${root}/${kind}/chunk-${time}-0000${index}.bin`,
      size: 2500,
      sha256: 'a'.repeat(64),
      part_size: 1000,
      parts: [sha, sha, sha],
    })),
    total_bytes: 5000,
    chunk_size: 2500,
    s3: { storage_class: 'DEEP_ARCHIVE' },
    stream: { bytes: 5000, sha256: 'b'.repeat(64), protocol: 2, compressed_data: true },
    codec: { compress: 'none', encrypt: 'none' },
  };
}

let worlds = 0;

/** A bucket with a full and an incremental backup; `change` is made to the incremental one. */
export async function bucketWith(
  directory: string,
  change: (manifest: Document) => unknown = () => undefined,
) {
  const at = join(directory, `world-${worlds++}`);
  mkdirSync(at);
  const bucket = standInAws(join(at, 's3'));
  const [full, incremental] = [manifestOf('full'), manifestOf('incremental')];
  change(incremental);
  for (const manifest of [full, incremental]) {
    for (const { key } of manifestOf(manifest === full ? 'full' : 'incremental').chunks) {
      bucket.put(key, 'x'.repeat(2500));
    }
  }
  bucket.put(keyOf.full, JSON.stringify(full));
  bucket.put(keyOf.incremental, JSON.stringify(incremental));
  bucket.put(`${root}/current.json`, JSON.stringify({ manifest_key: keyOf.incremental }));
  const host = await bareHost(at, recoverScript(template, place), {}, join(bucket.bin, 'aws'));
  return { bucket, host };
}

/** The one line that a run ends with. */
export async function endOf(
  host: BareHost,
  ...words: readonly string[]
): Promise<readonly [number | null, string]> {
  const { exitCode, stderr } = await host.recover(...words);
  return [exitCode, stderr.trimEnd().split('\n').at(-1) ?? ''];
}
