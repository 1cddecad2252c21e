/** Streams that are stored in a bucket as a backup would store them, and what fetching them brings. */
import { createHash, randomBytes } from 'node:crypto';
import type { ToolError } from '../../lib/core/errors.ts';
import type { Manifest, ManifestChunk } from '../../lib/core/format/manifest.ts';
import { SubvolumeKeys } from '../../lib/core/format/names.ts';
import { writeText } from '../../lib/edge/s3/documents.ts';
import { fetchStream } from '../../lib/transfer/back/fetch-stream.ts';
import { type FetchOptions, openFetching, type Sink } from '../../lib/transfer/back/fetching.ts';
import type { Progress, TransferContext } from '../../lib/transfer/transfer-context.ts';
import { manifestOfDay } from '../core/samples.ts';
import { plainWrite, type startTestBucket } from './bucket.ts';
import { stageContext } from './stage-context.ts';

export const partSize = 10_000;
/** SHA-256 of some bytes. */
export const sha256 = (data: Uint8Array, encoding: 'hex' | 'base64' = 'hex') =>
  createHash('sha256').update(data).digest(encoding);
export const keys = new SubvolumeKeys('host', 'data');

/** Text, because it is put with the tool's own call for texts; no two places of it look alike. */
export const content = (length: number) =>
  Buffer.from(
    randomBytes(length)
      .toString('latin1')
      .replace(/[^ -~]/g, '#'),
    'latin1',
  );

/** The manifest with one thing changed in a chunk. */
export function withChunk(manifest: Manifest, index: number, change: Partial<ManifestChunk>): Manifest {
  return {
    ...manifest,
    chunks: manifest.chunks.map((chunk, at) => (at === index ? { ...chunk, ...change } : chunk)),
  };
}

/** Fetches the stream of one manifest by itself. */
export async function fetchManifest(
  context: TransferContext,
  manifest: Manifest,
  sink: Sink,
  progress: Progress,
  options: FetchOptions = {},
): Promise<{ readonly sha256: string }> {
  return fetchStream(await openFetching(context, manifest.chunks, progress, options), manifest, sink);
}

/** Stores and fetches in a bucket; chunks without parts wait in the directory `spool`. */
export function storedStreams(
  { bucket, proxy }: Pick<Awaited<ReturnType<typeof startTestBucket>>, 'bucket' | 'proxy'>,
  spool: string,
) {
  let stored = 0;

  /** Stores chunks, and makes the manifest that says so. */
  async function store(chunks: readonly Buffer[], withParts: boolean): Promise<Manifest> {
    const described: ManifestChunk[] = [];
    for (const data of chunks) {
      const key = keys.chunk('full', '20260101T020000Z', stored++);
      await writeText(bucket, key, data.toString('latin1'), plainWrite);
      const parts = Array.from({ length: Math.ceil(data.length / partSize) }, (_, index) =>
        sha256(data.subarray(index * partSize, (index + 1) * partSize), 'base64'),
      );
      described.push({
        key,
        size: data.length,
        sha256: sha256(data),
        ...(withParts && { part_size: partSize, parts }),
      });
    }
    const whole = Buffer.concat(chunks);
    const stream = { bytes: whole.length, sha256: sha256(whole), protocol: 1, compressed_data: false };
    return {
      ...manifestOfDay(1),
      chunks: described,
      total_bytes: whole.length,
      ...(withParts ? { stream } : { stream: undefined }),
    } as Manifest;
  }

  /** Fetches; what reached the sink is there whether it went well or not. */
  async function fetchInto(
    manifest: Manifest,
    options: { concurrency?: number; spoolDirectory?: string; slow?: boolean; heldPartBytes?: number } = {},
  ) {
    const { context, progress, warnings } = stageContext(bucket, {
      CONCURRENCY: String(options.concurrency ?? 4),
      RUN_DIR: options.spoolDirectory ?? spool,
    });
    const pieces: Buffer[] = [];
    const sink = async (bytes: Uint8Array) => {
      // The bytes are the sink's until it has resolved.
      if (options.slow) await new Promise((resolve) => setTimeout(resolve, 5));
      pieces.push(Buffer.from(bytes));
    };
    const outcome = await fetchManifest(context, manifest, sink, context.startProgress(''), {
      ...(options.heldPartBytes !== undefined && { heldPartBytes: options.heldPartBytes }),
    }).then(
      (fetched) => ({ fetched, error: undefined }),
      (error: ToolError) => ({ fetched: undefined, error }),
    );
    return { ...outcome, sunk: Buffer.concat(pieces), progress, warnings };
  }

  /** Changes a byte of the answers to requests for a range, another one each time or always the same. */
  function flipOnTheWay(range: string, times: number, which: 'another' | 'the same'): void {
    let at = 0;
    proxy.expect({
      matches: ({ headers, method }) => method === 'GET' && headers.range === range,
      times,
      after: (answer) => {
        const body = Buffer.from(answer.body);
        body.writeUInt8(body.readUInt8(at) ^ 1, at);
        if (which === 'another') at++;
        return { ...answer, body };
      },
    });
  }

  const readings = (range: string) => proxy.requests.filter(({ headers }) => headers.range === range).length;
  return { store, fetchInto, flipOnTheWay, readings };
}
