/** Plays the habits of a provider around an operation: what it refuses, what it does not heed, and what it says of it. */
import type { S3Response } from '../http/call.ts';
import { S3Error } from '../http/errors.ts';
import type { S3Request } from '../http/request.ts';
import type { Store } from '../store/store.ts';
import type { UploadStore } from '../store/upload-store.ts';
import type { Habits } from './habits.ts';

const isWrite = ({ method }: S3Request) => method === 'PUT' || method === 'POST';

/** What a proxy in front of a server answers by itself: a page for people. */
function proxyPage(status: number, title: string): S3Response {
  const page = `<html>\r\n<head><title>${status} ${title}</title></head>\r\n<body>\r\n<center><h1>${status} ${title}</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n`;
  return { status, headers: { 'content-type': 'text/html', connection: 'close' }, body: page };
}

/** Plays habits over one data directory. */
export class PlayedHabits {
  readonly #habits: Habits;
  readonly #store: Store;
  readonly #uploads: UploadStore;
  /** When a key was first written, by bucket and key. */
  readonly #writtenAtMs = new Map<string, number>();

  constructor(habits: Habits, store: Store, uploads: UploadStore) {
    this.#habits = habits;
    this.#store = store;
    this.#uploads = uploads;
  }

  /** The bucket that a request names in its Host header, as in `bucket.s3.example.net`; undefined where it names none. */
  bucketOfHost(host: string | undefined): string | undefined {
    const [first = '', ...rest] = (host ?? '').replace(/:\d+$/, '').split('.');
    return rest.length > 0 && this.#store.hasBucket(first) ? first : undefined;
  }

  /** What a proxy in front answers before the body is sent; undefined when it lets the request through. */
  refuseAtProxy(contentLength: string | undefined): S3Response | undefined {
    const { bodyLimitBytes } = this.#habits;
    if (bodyLimitBytes === undefined || Number(contentLength ?? 0) <= bodyLimitBytes) return undefined;
    return proxyPage(413, 'Request Entity Too Large');
  }

  /**
   * The request as the server heeds it, once its signature was verified.
   * @throws S3Error what the server refuses it with
   */
  async hear(request: S3Request, operation: string): Promise<S3Request> {
    const { pathStyleRefusal, lacks = [], md5Refusal } = this.#habits;
    if (pathStyleRefusal !== undefined && this.bucketOfHost(request.headers.host) === undefined) {
      throw new S3Error(pathStyleRefusal);
    }
    if (lacks.includes(operation)) {
      throw new S3Error('NotImplemented', { message: `${operation} is not implemented` });
    }
    this.#refuseHeaders(request);
    if (
      md5Refusal !== undefined &&
      operation === 'DeleteObjects' &&
      request.headers['content-md5'] === undefined
    ) {
      throw new S3Error(md5Refusal);
    }
    this.#refuseUnseen(request);
    if (operation === 'UploadPart') await this.#endUpload(request);
    this.#noteWrite(request, operation);
    return this.#asHeeded(request, operation);
  }

  /** The answer as the server gives it. */
  say({ method }: S3Request, operation: string, response: S3Response): S3Response {
    const { serverHeader, ignored, etagOfCompletion, otherEtagOfHead } = this.#habits;
    const kept = Object.entries(response.headers ?? {}).filter(([name]) => ignored?.test(name) !== true);
    const headers = Object.fromEntries(kept);
    const { etag } = headers;
    if (otherEtagOfHead && method === 'HEAD' && etag !== undefined && /-\d+"$/.test(etag)) {
      headers.etag = `"${'e'.repeat(32)}${etag.slice(33)}`;
    }
    if (serverHeader !== undefined) headers.server = serverHeader;
    const { body } = response;
    if (
      etagOfCompletion === undefined ||
      operation !== 'CompleteMultipartUpload' ||
      typeof body !== 'string'
    ) {
      return { ...response, headers };
    }
    const other = etagOfCompletion === 'none' ? '' : `&quot;${'c'.repeat(32)}-1&quot;`;
    return { ...response, headers, body: body.replace(/<ETag>.*?<\/ETag>/, `<ETag>${other}</ETag>`) };
  }

  #refuseHeaders(request: S3Request): void {
    for (const { headers, writesOnly, except = [], code, says } of this.#habits.refused ?? []) {
      if (writesOnly && !isWrite(request)) continue;
      for (const [name, value] of Object.entries(request.headers)) {
        if (!headers.test(name) || except.includes(value)) continue;
        throw new S3Error(code, says && { message: says(name, value) });
      }
    }
  }

  /** HEAD and GET of a key that was first written just now. */
  #refuseUnseen({ method, bucket, key = '' }: S3Request): void {
    const { seenAfterMs } = this.#habits;
    const atMs = this.#writtenAtMs.get(`${bucket}/${key}`);
    if (seenAfterMs === undefined || atMs === undefined || !['GET', 'HEAD'].includes(method)) return;
    if (Date.now() - atMs < seenAfterMs) throw new S3Error('NoSuchKey', { elements: { Key: key } });
  }

  #noteWrite({ bucket = '', key = '' }: S3Request, operation: string): void {
    if (operation !== 'PutObject' && operation !== 'CompleteMultipartUpload') return;
    const isThere = this.#store.hasBucket(bucket) && this.#store.bucket(bucket).objects.has(key);
    if (!isThere) this.#writtenAtMs.set(`${bucket}/${key}`, Date.now());
  }

  /** Ends the upload as a lifecycle rule would; the operation itself then finds that it is gone. */
  async #endUpload({ bucket = '', key = '', query }: S3Request): Promise<void> {
    const { uploadEndsAtPart } = this.#habits;
    if (uploadEndsAtPart === undefined || Number(query.partNumber) < uploadEndsAtPart) return;
    await this.#uploads.abort(bucket, key, query.uploadId ?? '').catch((error: unknown) => {
      if (!(error instanceof S3Error)) throw error;
    });
  }

  #asHeeded(request: S3Request, operation: string): S3Request {
    const { ignored, ignoresConditionsOfCompletion, listsUploadsByWholeKey } = this.#habits;
    const isUnheeded = (name: string) =>
      (isWrite(request) && operation !== 'DeleteObjects' && ignored?.test(name) === true) ||
      (ignoresConditionsOfCompletion === true &&
        operation === 'CompleteMultipartUpload' &&
        /^if-(none-)?match$/.test(name));
    const kept = Object.entries(request.headers).filter(([name]) => !isUnheeded(name));
    const headers: Record<string, string> = Object.assign(Object.create(null), Object.fromEntries(kept));
    if (!listsUploadsByWholeKey || operation !== 'ListMultipartUploads') return { ...request, headers };
    const { bucket = '', query } = request;
    const isKey = [...this.#store.bucket(bucket).uploads.values()].some(
      ({ record }) => record.key === query.prefix,
    );
    return { ...request, headers, query: isKey ? query : { ...query, 'max-uploads': '0' } };
  }
}
