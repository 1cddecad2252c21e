/** Streams that are stored through a codec, stopped, resumed, and fetched back. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { encodedSlotBytes } from '../../lib/core/format/frames.ts';
import type { Manifest } from '../../lib/core/format/manifest.ts';
import { identityOf } from '../../lib/core/format/sealed-digests.ts';
import { replayJournal, withoutChunk } from '../../lib/core/plan/resume.ts';
import type { ByteSource } from '../../lib/core/stream/chunker.ts';
import { MIB } from '../../lib/core/units.ts';
import { sealText } from '../../lib/edge/codec/identity.ts';
import { codecOf, type Encoding, encodingSteps } from '../../lib/edge/codec/steps.ts';
import { Journal, readJournal } from '../../lib/edge/files/journal.ts';
import { FramePipe } from '../../lib/transfer/codec/frame-pipe.ts';
import { storingEncoded } from '../../lib/transfer/codec/store-encoded.ts';
import { TransferMemory } from '../../lib/transfer/memory/transfer-memory.ts';
import { ChunkObject, StreamChanged } from '../../lib/transfer/out/chunk-object.ts';
import { ChunkWriter } from '../../lib/transfer/out/chunk-writer.ts';
import { type StoredStream, storeStream } from '../../lib/transfer/out/store-stream.ts';
import { manifestOfDay } from '../core/samples.ts';
import { plainWrite, type startTestBucket } from './bucket.ts';
import type { ProxiedRequest } from './faulty-proxy.ts';
import { stageContext } from './stage-context.ts';
import { fetchManifest, keys } from './stored-streams.ts';

/** How a stream is stored. */
export interface StoreOptions {
  readonly encoding: Encoding;
  readonly partSizeBytes?: number;
  readonly chunkSizeBytes?: number;
  readonly concurrency?: number;
  /** Stops, as a kill would, when the journal has so many more parts. */
  readonly stopAfterParts?: number;
}

/** What came of storing. */
export interface Outcome {
  readonly stored: StoredStream | undefined;
  readonly error: unknown;
  /** Numbers of the parts that were sent, by chunk and part: `0/1`. */
  readonly sent: readonly string[];
  /** How many frames were encoded. */
  readonly encoded: number;
  readonly lost: readonly string[];
}

const isPart = ({ url }: ProxiedRequest) => /[?&]partNumber=/.test(url);

/** Stores and fetches in a bucket; each name has a journal of its own. */
export function encodedStreams(
  { bucket, proxy }: Pick<Awaited<ReturnType<typeof startTestBucket>>, 'bucket' | 'proxy'>,
  directory: string,
) {
  const memory = new TransferMemory(5);
  after(() => memory.close());
  const journalPath = (name: string) => join(directory, `${name}.jsonl`);
  const names: string[] = [];
  /** A second of its own for each name. */
  const stampOf = (name: string) => {
    if (!names.includes(name)) names.push(name);
    const index = names.indexOf(name);
    return `20260101T02${String(Math.floor(index / 60)).padStart(2, '0')}${String(index % 60).padStart(2, '0')}Z`;
  };

  /** Stores a stream, as the upload stage does; resumes what an earlier call of the same name has left. */
  async function store(name: string, stream: Uint8Array, options: StoreOptions): Promise<Outcome> {
    const [sent, lost]: [string[], string[]] = [[], []];
    let earlier = replayJournal(await readJournal(journalPath(name)));
    for (;;) {
      const outcome = await storeOnce(name, stream, options, earlier);
      sent.push(...outcome.sent);
      lost.push(...outcome.lost);
      if (!(outcome.error instanceof StreamChanged)) return { ...outcome, sent, lost };
      lost.push(outcome.error.message);
      if (lost.length > 9) throw new Error(`it never ends: ${lost.join('; ')}`);
      const journal = replayJournal(await readJournal(journalPath(name)));
      earlier = outcome.error.isJournalled ? journal : withoutChunk(journal, outcome.error.chunkIndex);
    }
  }

  async function storeOnce(
    name: string,
    stream: Uint8Array,
    {
      encoding,
      partSizeBytes = 5 * MIB,
      chunkSizeBytes = 15 * MIB,
      concurrency = 2,
      stopAfterParts,
    }: StoreOptions,
    earlier: ReturnType<typeof replayJournal>,
  ): Promise<Outcome> {
    const journal = await Journal.open(journalPath(name));
    const ending = new AbortController();
    const { signal } = ending;
    const plain = await memory.open(partSizeBytes, concurrency + 1);
    const encoded = await memory.second.open(encodedSlotBytes(partSizeBytes), concurrency + 1, {
      partsOnly: true,
    });
    let frameCount = 0;
    const frames = await FramePipe.open((bytes) => {
      frameCount++;
      return encodingSteps(encoding, bytes);
    }, concurrency);
    frameCount = 0;
    const lost: string[] = [];
    const writer = new ChunkWriter({ ...bucket, signal }, plainWrite, { onSent: () => undefined });
    const onLost = (reason: string) => void lost.push(reason);
    const onEnded = async (key: string) => void lost.push(`${key} was ended`);
    const tools = { writer, journal, hasher: encoded.hasher, onReused: () => undefined, onLost, onEnded };
    const openObject = (index: number) => {
      const key = keys.chunk('full', stampOf(name), index);
      const place = { index, key, partSizeBytes, replaces: earlier.own.get(key) };
      return new ChunkObject(tools, place, earlier.chunks.get(index));
    };
    proxy.requests.length = 0;
    const journalled = () => readFileSync(journalPath(name), 'utf8').split('"part-stored"').length - 1;
    const before = journalled();
    const onStored = () => {
      const isEnough = stopAfterParts !== undefined && journalled() - before >= stopAfterParts;
      if (isEnough) ending.abort(new Error('killed'));
    };
    const storeChunk = storingEncoded({ plain, encoded, frames, journal, openObject, onStored, signal });
    try {
      const stored = await storeStream({
        source: sourceOf(stream, signal),
        memory: plain,
        layout: { chunkSizeBytes, partSizeBytes },
        inspect: () => undefined,
        concurrency,
        storeChunk,
        ending,
      });
      return { stored, error: undefined, sent: sentParts(), encoded: frameCount, lost };
    } catch (error) {
      return { stored: undefined, error, sent: sentParts(), encoded: frameCount, lost };
    } finally {
      frames.close();
      await journal.close();
    }
  }

  const sentParts = () =>
    proxy.requests
      .filter(isPart)
      .map(({ url }) => `${Number(/-(\d{5})\.bin/.exec(url)?.[1])}/${/partNumber=(\d+)/.exec(url)?.[1]}`)
      .sort();

  /** The manifest of a stored stream. */
  async function describe(stored: StoredStream, encoding: Encoding, bytes: number): Promise<Manifest> {
    const { stream: _, ...base } = manifestOfDay(1);
    const codec = codecOf(encoding);
    const manifest: Manifest = {
      ...base,
      chunks: stored.chunks.map(({ index: __, part_size: ___, ...chunk }) => chunk),
      total_bytes: stored.chunks.reduce((sum, { size }) => sum + size, 0),
      codec,
      stream: {
        bytes,
        protocol: 1,
        compressed_data: false,
        ...(codec.encrypt === 'none' && { sha256: stored.sha256 }),
      },
    };
    if (codec.encrypt === 'none') return manifest;
    const digests = {
      backup: identityOf(manifest),
      stream: stored.sha256,
      chunks: stored.plainSha256s,
      frames: stored.chunks.map(({ frames = [] }) => frames.map(({ plain_sha256 }) => plain_sha256)),
    };
    const sealed = await sealText(encoding.recipients, JSON.stringify(digests));
    return { ...manifest, sealed: sealed.toString('base64') };
  }

  /** Fetches a backup; what reached the sink is there whether it went well or not. */
  async function fetchBack(manifest: Manifest, identity = '', concurrency = 2) {
    const settings = { CONCURRENCY: `${concurrency}`, ...(identity !== '' && { DECRYPT_WITH: identity }) };
    const { context, progress } = stageContext(bucket, settings);
    const pieces: Buffer[] = [];
    const sink = async (bytes: Uint8Array) => void pieces.push(Buffer.from(bytes));
    const error = await fetchManifest(context, manifest, sink, context.startProgress('')).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    await context.memory.close();
    return { sunk: Buffer.concat(pieces), error, progress };
  }

  return { store, describe, fetchBack, journalPath };
}

/** A stream out of memory, in pieces as a pipe would bring them. */
function sourceOf(stream: Uint8Array, signal: AbortSignal): ByteSource {
  let at = 0;
  return {
    async fill(target, onFilled) {
      signal.throwIfAborted();
      const bytes = stream.subarray(at, at + target.length);
      target.set(bytes);
      at += bytes.length;
      for (let from = 0; from < bytes.length; from += MIB)
        onFilled?.(from, Math.min(from + MIB, bytes.length));
      return { bytes: bytes.length, ended: at === stream.length };
    },
  };
}
