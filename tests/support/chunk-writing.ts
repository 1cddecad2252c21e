/** A writer of chunks that records what it tells, and a chunk of three parts. */
import { createHash, randomBytes } from 'node:crypto';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { MIB } from '../../lib/core/units.ts';
import type { Bucket, WriteOptions } from '../../lib/edge/s3/s3-client.ts';
import { ChunkWriter } from '../../lib/transfer/out/chunk-writer.ts';
import type { PartBody } from '../../lib/transfer/out/part-payload.ts';
import { plainWrite } from './bucket.ts';
import type { ProxiedRequest } from './faulty-proxy.ts';

export const small = randomBytes(3000);
export const threeParts = [randomBytes(5 * MIB), randomBytes(5 * MIB), randomBytes(1000)];
export const isPart = ({ url }: ProxiedRequest) => /[?&]partNumber=/.test(url);
export const isPut = ({ method }: ProxiedRequest) => method === 'PUT';

interface Seen {
  sent: number;
  md5s: number;
  readonly retries: string[];
}

/** What tests of writing chunks to a bucket need; `retries` is what the bucket's Retrier tells. */
export function chunkWriting({ bucket, retries }: { readonly bucket: Bucket; readonly retries: string[] }) {
  /** A writer that records what it tells. */
  function writerWith(options: WriteOptions = plainWrite, signal = new AbortController().signal) {
    retries.length = 0;
    const seen: Seen = { sent: 0, md5s: 0, retries };
    const events = { onSent: (bytes: number) => (seen.sent += bytes) };
    const bodyOf = (bytes: Uint8Array): PartBody => ({
      pieces: [bytes],
      sha256: createHash('sha256').update(bytes).digest('base64'),
      md5: async () => {
        seen.md5s++;
        return createHash('md5').update(bytes).digest('base64');
      },
    });
    return { writer: new ChunkWriter({ ...bucket, signal }, options, events), seen, bodyOf };
  }

  async function contentOf(key: string): Promise<Buffer> {
    const { Body } = await bucket.client.send(new GetObjectCommand({ Bucket: bucket.name, Key: key }));
    return Buffer.from((await Body?.transformToByteArray()) ?? []);
  }

  /** Stores three parts, not in their order, and gives them in their order. */
  async function storeThree({ writer, bodyOf }: ReturnType<typeof writerWith>, key: string) {
    const upload = await writer.begin(key);
    const stored = await Promise.all(
      [3, 1, 2].map(async (number) => {
        const bytes = threeParts[number - 1] ?? Buffer.alloc(0);
        const body = bodyOf(bytes);
        const etag = await writer.putPart(upload, number, body);
        return { number, size: bytes.length, etag, sha256: body.sha256 };
      }),
    );
    return { upload, stored: stored.sort((a, b) => a.number - b.number) };
  }
  return { writerWith, contentOf, storeThree };
}
