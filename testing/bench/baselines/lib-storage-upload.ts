/**
 * `btrfs send` through Upload of @aws-sdk/lib-storage, as its documentation shows it, in parts of the same size and number as
 * the tool's: `node --import tsx lib-storage-upload.ts BUCKET KEY btrfs send …`. Endpoint and keys come from the environment.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { MIB } from '../../../lib/core/units.ts';

const [Bucket, Key, command = '', ...args] = process.argv.slice(2);
const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
const ended = once(child, 'close');
const upload = new Upload({
  client: new S3Client({ forcePathStyle: true }),
  params: { Bucket, Key, Body: child.stdout },
  partSize: 64 * MIB,
  queueSize: 4,
});
await upload.done();
const [exitCode] = await ended;
process.exit(exitCode);
