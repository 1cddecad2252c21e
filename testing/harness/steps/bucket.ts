/** The bucket of a run, looked at with plain S3 requests: a judge of the tool, which shares no code with it. */
import { readFile } from 'node:fs/promises';
import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  type MultipartUpload,
  paginateListObjectsV2,
  S3Client,
} from '@aws-sdk/client-s3';
import { z } from 'zod';
import { ToolError } from '../../../lib/core/errors.ts';
import { readSettingLines } from '../../../lib/core/settings/lines.ts';
import type { Places } from '../runner/places.ts';

/** A key below the prefix, and the bytes under it. */
export interface ListedObject {
  readonly key: string;
  readonly size: number;
}

/** The bucket, opened. Keys are whole keys. */
export interface HarnessBucket {
  readonly client: S3Client;
  readonly name: string;
  readonly prefix: string;
  list(): Promise<readonly ListedObject[]>;
  /** Multipart uploads below the prefix that are neither completed nor aborted. */
  uploads(): Promise<readonly MultipartUpload[]>;
  head(key: string): Promise<HeadObjectCommandOutput>;
  read(key: string): Promise<Buffer>;
  /** Undefined where there is no object. */
  readText(key: string): Promise<string | undefined>;
  /** Removes every object and upload below the prefix. */
  empty(): Promise<number>;
  close(): void;
}

const settingsSchema = z.object({
  S3_BUCKET: z.string(),
  S3_PREFIX: z.string().min(1),
  AWS_REGION: z.string().optional(),
  AWS_ENDPOINT_URL_S3: z.string().optional(),
  AWS_ACCESS_KEY_ID: z.string().optional(),
  AWS_SECRET_ACCESS_KEY: z.string().optional(),
});

/** Opens the bucket that the tool's settings of a run name; credentials that are not there are the SDK's to find. */
export async function openHarnessBucket({ toolSettings }: Places): Promise<HarnessBucket> {
  return openBucketOf(await readToolSettings(toolSettings));
}

/** The tool's settings of a run, as they stand in the file. */
export async function readToolSettings(path: string): Promise<Readonly<Record<string, string>>> {
  const { lines } = readSettingLines(await readFile(path, 'utf8'));
  return Object.fromEntries(lines.map(({ key, value }) => [key, value]));
}

/** @throws ToolError when a bucket that is not the harness's own cannot be listed: better now than after the seeding */
export async function demandBucket(settings: Readonly<Record<string, string>>): Promise<void> {
  const bucket = openBucketOf({ ...settings, S3_PREFIX: 'btrfs-to-s3-harness' });
  try {
    await bucket.client.send(new ListObjectsV2Command({ Bucket: bucket.name, Prefix: 'x', MaxKeys: 1 }));
  } catch (cause) {
    const { name, message } = cause as Error;
    throw new ToolError(`cannot use the bucket ${bucket.name}: ${name}: ${message}`, {
      hint: 'check S3_BUCKET, AWS_REGION, AWS_ENDPOINT_URL_S3 and the credentials in the environment',
      cause,
    });
  } finally {
    bucket.close();
  }
}

function openBucketOf(values: Readonly<Record<string, string>>): HarnessBucket {
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
  const settings = settingsSchema.parse(values);
  const {
    S3_BUCKET: Bucket,
    S3_PREFIX: prefix,
    AWS_REGION: region,
    AWS_ENDPOINT_URL_S3: endpoint,
  } = settings;
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = settings;
  const client = new S3Client({
    ...(region && { region }),
    ...(endpoint && { endpoint, forcePathStyle: true }),
    ...(accessKeyId && secretAccessKey && { credentials: { accessKeyId, secretAccessKey } }),
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  const Prefix = `${prefix}/`;
  const list = async () => {
    const found: ListedObject[] = [];
    for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket, Prefix })) {
      found.push(...Contents.map(({ Key = '', Size = 0 }) => ({ key: Key, size: Size })));
    }
    return found;
  };
  const uploads = async () => {
    const found: MultipartUpload[] = [];
    for (let KeyMarker: string | undefined, UploadIdMarker: string | undefined, more = true; more; ) {
      const page = await client.send(
        new ListMultipartUploadsCommand({ Bucket, Prefix, KeyMarker, UploadIdMarker }),
      );
      found.push(...(page.Uploads ?? []));
      more = page.IsTruncated === true;
      [KeyMarker, UploadIdMarker] = [page.NextKeyMarker, page.NextUploadIdMarker];
    }
    return found;
  };
  const read = async (Key: string) => {
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
    return Buffer.from((await Body?.transformToByteArray()) ?? []);
  };
  return {
    client,
    name: Bucket,
    prefix,
    list,
    uploads,
    read,
    head: (Key) => client.send(new HeadObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' })),
    async readText(key) {
      try {
        return (await read(key)).toString('utf8');
      } catch (error) {
        if (error instanceof Error && error.name === 'NoSuchKey') return undefined;
        throw error;
      }
    },
    async empty() {
      const objects = await list();
      for (const { key } of objects) await client.send(new DeleteObjectCommand({ Bucket, Key: key }));
      for (const { Key, UploadId } of await uploads()) {
        await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
      }
      return objects.length;
    },
    close: () => client.destroy(),
  };
}
