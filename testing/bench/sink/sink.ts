/**
 * An S3 server that takes everything and keeps nothing: it verifies no signature, hashes no body and refuses no condition, so
 * that what is measured is its client. Small objects are kept, because clients read manifests and pointers back; large ones
 * have the bytes of one file.
 */
import { once } from 'node:events';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { MIB } from '../../../lib/core/units.ts';
import { parseRange } from '../../s3-server/http/range.ts';
import { buildDocument, buildPlainDocument, type XmlNode } from '../../s3-server/http/xml.ts';
import { etagOf, SinkObjects, type SinkPart } from './objects.ts';
import type { StoredStream } from './stored-stream.ts';
import { type Throttle, throttleTo } from './throttle.ts';

/** Objects up to this size keep their bytes. */
const keptBytes = MIB;

/** What the sink does beside taking bytes. */
export interface SinkOptions {
  /** The bytes of every large object. */
  readonly stream: StoredStream;
  /** From the end of a request to its answer, as a far server would take. */
  readonly delayMs: number;
  /** Bytes of bodies a second in each direction, over all connections; undefined for no limit. */
  readonly bytesPerSecond: number | undefined;
}

/** What passed since the counts were last asked for: whole bodies only. */
export interface SinkCounts {
  requests: number;
  receivedBytes: number;
  sentBytes: number;
  /** From the first byte of a large object, in either direction, to the last: what takes its time before and after is not in it. */
  passingMs: number;
}

const nothingPassed: SinkCounts = { requests: 0, receivedBytes: 0, sentBytes: 0, passingMs: 0 };

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly key: string;
  readonly query: URLSearchParams;
}

/** The path that returns its counts and resets them. */
export const countsPath = '/-/counts';

/** The listener of a server with one bucket of any name, in path style. */
export function createSink(options: SinkOptions): RequestListener {
  const sink = new Sink(options);
  return (request, response) => {
    sink.serve(request, response).catch((error: unknown) => {
      // A client that went away is its own matter.
      if (!request.destroyed) console.error('sink:', error);
      response.destroy();
    });
  };
}

class Sink {
  readonly #options: SinkOptions;
  readonly #objects = new SinkObjects();
  readonly #inbound: Throttle;
  readonly #outbound: Throttle;
  #counts = { ...nothingPassed };
  #passingSinceMs: number | undefined;

  constructor(options: SinkOptions) {
    this.#options = options;
    this.#inbound = throttleTo(options.bytesPerSecond);
    this.#outbound = throttleTo(options.bytesPerSecond);
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://sink');
    if (url.pathname === countsPath) {
      response.end(JSON.stringify(this.#counts));
      this.#counts = { ...nothingPassed };
      this.#passingSinceMs = undefined;
      return;
    }
    this.#counts.requests += 1;
    const [, , ...path] = url.pathname.split('/');
    const exchange = { request, response, key: decodeURIComponent(path.join('/')), query: url.searchParams };
    if (request.method === 'PUT') await this.#put(exchange);
    else {
      await this.#take(request, 0);
      if (this.#options.delayMs > 0) await sleep(this.#options.delayMs);
      if (request.method === 'POST') this.#post(exchange);
      else if (request.method === 'DELETE') this.#delete(exchange);
      else await this.#get(exchange);
    }
  }

  /** Reads a body to its end; gives its size, and its bytes where they are no more than `most`. */
  async #take(
    request: IncomingMessage,
    most: number,
  ): Promise<{ sizeBytes: number; bytes: Buffer | undefined }> {
    const kept: Buffer[] = [];
    let received = 0;
    const take = (piece: Buffer) => {
      received += piece.length;
      if (received <= most) kept.push(piece);
      return this.#inbound(piece.length);
    };
    if (this.#options.bytesPerSecond === undefined) {
      request.on('data', take);
      await once(request, 'end');
    } else for await (const piece of request) await take(piece);
    const declared = request.headers['x-amz-decoded-content-length'];
    const sizeBytes = declared === undefined ? received : Number(declared);
    if (request.method === 'PUT') this.#counts.receivedBytes += sizeBytes;
    const isPlain = declared === undefined && received <= most;
    return { sizeBytes, bytes: isPlain ? Buffer.concat(kept) : undefined };
  }

  async #put({ request, response, key, query }: Exchange): Promise<void> {
    const uploadId = query.get('uploadId');
    if (uploadId !== null) this.#notePassing();
    const { sizeBytes, bytes } = await this.#take(request, uploadId === null ? keptBytes : 0);
    if (uploadId !== null) this.#notePassing();
    if (this.#options.delayMs > 0) await sleep(this.#options.delayMs);
    const sha256 = request.headers['x-amz-checksum-sha256'];
    const stored: SinkPart = {
      sizeBytes,
      etag: etagOf(key),
      sha256: typeof sha256 === 'string' ? sha256 : undefined,
    };
    if (uploadId !== null) this.#objects.putPart(uploadId, Number(query.get('partNumber')), stored);
    else if (key !== '') this.#objects.put(key, { ...stored, bytes });
    // Clients take an echoed checksum for a verified one; without it they would have to hash more than S3 asks of them.
    const echoed = Object.entries(request.headers).filter(([name]) =>
      /^x-amz-checksum-(?!algorithm)/.test(name),
    );
    response.writeHead(200, { etag: stored.etag, 'content-length': 0, ...Object.fromEntries(echoed) }).end();
  }

  #post({ response, key, query }: Exchange): void {
    if (query.has('uploads')) {
      sendXml(response, 'InitiateMultipartUploadResult', { Key: key, UploadId: this.#objects.begin() });
      return;
    }
    const object = this.#objects.complete(key, query.get('uploadId') ?? '');
    if (!object) sendError(response, 404, 'NoSuchUpload');
    else {
      const ChecksumSHA256 = object.sha256;
      sendXml(response, 'CompleteMultipartUploadResult', { Key: key, ETag: object.etag, ChecksumSHA256 });
    }
  }

  #delete({ response, key, query }: Exchange): void {
    const uploadId = query.get('uploadId');
    if (uploadId === null) this.#objects.delete(key);
    else this.#objects.abort(uploadId);
    response.writeHead(204).end();
  }

  async #get(exchange: Exchange): Promise<void> {
    const { request, response, key, query } = exchange;
    if (key !== '' && !query.has('uploadId')) await this.#getObject(exchange);
    else if (request.method === 'HEAD') response.writeHead(200).end();
    else if (query.has('uploadId')) this.#listParts(exchange);
    else if (query.has('uploads')) sendXml(response, 'ListMultipartUploadsResult', { IsTruncated: false });
    else if (query.has('location')) sendXml(response, 'LocationConstraint', {});
    else this.#list(exchange);
  }

  #listParts({ response, query }: Exchange): void {
    const parts = this.#objects.parts(query.get('uploadId') ?? '');
    if (!parts) sendError(response, 404, 'NoSuchUpload');
    else {
      const Part = parts.map(([PartNumber, { sizeBytes, etag }]) => ({
        PartNumber,
        ETag: etag,
        Size: sizeBytes,
      }));
      sendXml(response, 'ListPartsResult', { IsTruncated: false, Part });
    }
  }

  #list({ response, query }: Exchange): void {
    const most = Math.min(Number(query.get('max-keys') ?? 1000), 1000);
    const after = query.get('continuation-token') ?? query.get('start-after') ?? '';
    const { keys, more } = this.#objects.list(query.get('prefix') ?? '', after, most);
    const Contents = keys.map((key) => {
      const object = this.#objects.get(key);
      return { Key: key, Size: object?.sizeBytes, ETag: object?.etag, StorageClass: 'STANDARD' };
    });
    const NextContinuationToken = more ? keys.at(-1) : undefined;
    const content = { KeyCount: keys.length, IsTruncated: more, NextContinuationToken, Contents };
    sendXml(response, 'ListBucketResult', content);
  }

  async #getObject({ request, response, key }: Exchange): Promise<void> {
    const object = this.#objects.get(key);
    if (!object) {
      if (request.method === 'HEAD') response.writeHead(404).end();
      else sendError(response, 404, 'NoSuchKey');
      return;
    }
    const range = parseRange(request.headers.range, object.sizeBytes);
    const [start, end] = range ? [range.start, range.end + 1] : [0, object.sizeBytes];
    response.writeHead(range ? 206 : 200, {
      etag: object.etag,
      'content-length': end - start,
      'accept-ranges': 'bytes',
      'last-modified': 'Thu, 01 Jan 2026 00:00:00 GMT',
      ...(range && { 'content-range': `bytes ${start}-${end - 1}/${object.sizeBytes}` }),
      ...(object.sha256 !== undefined && !range && { 'x-amz-checksum-sha256': object.sha256 }),
    });
    if (request.method === 'HEAD') response.end();
    else if (object.bytes) {
      this.#counts.sentBytes += end - start;
      response.end(object.bytes.subarray(start, end));
    } else await this.#send(response, start, end);
  }

  async #send(response: ServerResponse, start: number, end: number): Promise<void> {
    this.#notePassing();
    for (const piece of this.#options.stream.pieces(start, end)) {
      await this.#outbound(piece.length);
      if (response.destroyed) return;
      if (!response.write(piece)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
      this.#counts.sentBytes += piece.length;
    }
    this.#notePassing();
    response.end();
  }

  #notePassing(): void {
    this.#passingSinceMs ??= performance.now();
    this.#counts.passingMs = performance.now() - this.#passingSinceMs;
  }
}

function sendXml(
  response: ServerResponse,
  root: string,
  content: { readonly [name: string]: XmlNode },
): void {
  const body = buildDocument(root, content);
  response
    .writeHead(200, { 'content-type': 'application/xml', 'content-length': Buffer.byteLength(body) })
    .end(body);
}

function sendError(response: ServerResponse, status: number, Code: string): void {
  response.writeHead(status, { 'content-type': 'application/xml' });
  response.end(buildPlainDocument('Error', { Code, Message: `${Code}: the sink has nothing of that name` }));
}
