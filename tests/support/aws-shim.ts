/**
 * As much of the `aws` command as RESTORE.txt uses, for machines that do not have it: `s3 ls`, `s3 cp`, `s3api restore-object`,
 * `s3api head-object --query Restore --output text`, `configure set`. The real one is taken where it is installed.
 */
import { createWriteStream } from 'node:fs';
import { basename } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  RestoreObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';

process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
const text = { type: 'string' } as const;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'endpoint-url': text,
    region: text,
    bucket: text,
    key: text,
    query: text,
    output: text,
    'restore-request': text,
    recursive: { type: 'boolean' },
  },
});
const client = new S3Client({
  ...(values['endpoint-url'] && { endpoint: values['endpoint-url'], forcePathStyle: true }),
  ...(values.region && { region: values.region }),
});
const [service, verb, from = '', to = ''] = positionals;
const [, Bucket = values.bucket, path = ''] = /^s3:\/\/([^/]+)\/(.*)$/s.exec(from) ?? [];
const Key = values.key ?? path;

switch (`${service} ${verb}`) {
  case 'configure set':
    break;
  case 's3 ls': {
    const delimiter = values.recursive ? {} : { Delimiter: '/' };
    const page = await client.send(new ListObjectsV2Command({ Bucket, Prefix: path, ...delimiter }));
    for (const { Prefix = '' } of page.CommonPrefixes ?? []) console.log(`PRE ${Prefix.slice(path.length)}`);
    for (const object of page.Contents ?? []) console.log(`2026-01-01 00:00:00 ${object.Size} ${object.Key}`);
    break;
  }
  case 's3 cp': {
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
    const target = to === '-' ? process.stdout : createWriteStream(to === '.' ? basename(Key) : to);
    await pipeline(Body as Readable, target);
    break;
  }
  case 's3api restore-object': {
    const request = JSON.parse(values['restore-request'] ?? '');
    await client.send(new RestoreObjectCommand({ Bucket, Key, RestoreRequest: request }));
    break;
  }
  case 's3api head-object':
    console.log((await client.send(new HeadObjectCommand({ Bucket, Key }))).Restore);
    break;
  default:
    throw new Error(`this stand-in knows no ${service} ${verb}`);
}
client.destroy();
