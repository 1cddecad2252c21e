/**
 * One GetObject piped into `btrfs receive`: `node --import tsx single-get.ts BUCKET KEY btrfs receive …`. Endpoint and keys come
 * from the environment.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';

const [Bucket, Key, command = '', ...args] = process.argv.slice(2);
const child = spawn(command, args, { stdio: ['pipe', 'ignore', 'inherit'] });
const ended = once(child, 'close');
const { Body } = await new S3Client({ forcePathStyle: true }).send(new GetObjectCommand({ Bucket, Key }));
await pipeline(Body as Readable, child.stdin);
const [exitCode] = await ended;
process.exit(exitCode);
