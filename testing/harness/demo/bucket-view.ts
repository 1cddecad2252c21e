/** Looks into a bucket with plain S3 requests, as any other program could. It shares no code with the tool. */
import { createWriteStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { GetObjectCommand, paginateListObjectsV2, S3Client } from '@aws-sdk/client-s3';
import { z } from 'zod';
import type { BucketAccess } from '../servers/bucket-access.ts';

/** A key and the size of what is stored under it. */
interface BucketEntry {
  readonly key: string;
  readonly size: number;
}

/** What a reader without the tool needs to know of a manifest. */
export type ManifestView = z.output<typeof manifestView>;

const manifestView = z.object({
  created_at: z.string(),
  total_bytes: z.number(),
  chunks: z.array(
    z.object({
      key: z.string(),
      size: z.number(),
      sha256: z.string(),
      parts: z.array(z.string()).optional(),
    }),
  ),
});

/** A bucket that is open for reading. */
export interface BucketView {
  list(): Promise<BucketEntry[]>;
  manifest(key: string): Promise<ManifestView>;
  download(key: string, path: string): Promise<void>;
  close(): void;
}

/** Opens a bucket; nothing is asked for yet. */
export function openBucketView(access: BucketAccess): BucketView {
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
  const { endpoint, region, accessKeyId, secretAccessKey, bucket: Bucket } = access;
  const credentials = { accessKeyId, secretAccessKey };
  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true });
  const get = async (Key: string) => {
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
    if (!Body) throw new Error(`${Key} came without a body`);
    return Body;
  };
  return {
    async list() {
      const entries: BucketEntry[] = [];
      for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket })) {
        entries.push(...Contents.map(({ Key = '', Size = 0 }) => ({ key: Key, size: Size })));
      }
      return entries;
    },
    async manifest(key) {
      return manifestView.parse(JSON.parse(await (await get(key)).transformToString()));
    },
    async download(key, path) {
      await pipeline((await get(key)) as Readable, createWriteStream(path, { mode: 0o600 }));
    },
    close: () => client.destroy(),
  };
}
