/** What is in the bucket, read without any code of the tool. */
import { GetObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import type { Manifest } from '../../../lib/core/format/manifest.ts';
import type { HistoryWorld } from './history-world.ts';

/** Every manifest below the prefix, by key. */
export async function manifestsIn({ bucket }: HistoryWorld): Promise<ReadonlyMap<string, Manifest>> {
  const { client, name: Bucket, prefix } = bucket;
  const listed = await client.send(new ListObjectsV2Command({ Bucket, Prefix: `${prefix}/` }));
  const keys = (listed.Contents ?? []).flatMap(({ Key }) => (Key?.includes('/manifest-') ? [Key] : []));
  const manifests = new Map<string, Manifest>();
  for (const Key of keys) {
    const object = await client.send(new GetObjectCommand({ Bucket, Key }));
    manifests.set(Key, JSON.parse((await object.Body?.transformToString()) ?? ''));
  }
  return manifests;
}

/** Keys of the manifests that cannot be restored, because they or what they build on name something that is lost. */
export async function brokenPoints(
  world: HistoryWorld,
  lost: ReadonlySet<string>,
): Promise<ReadonlySet<string>> {
  if (lost.size === 0) return new Set();
  const manifests = await manifestsIn(world);
  const isBroken = (key: string): boolean => {
    const manifest = manifests.get(key);
    if (!manifest || lost.has(key) || manifest.chunks.some((chunk) => lost.has(chunk.key))) return true;
    return manifest.parent_manifest !== null && isBroken(manifest.parent_manifest);
  };
  return new Set([...manifests.keys(), ...lost].filter(isBroken));
}
