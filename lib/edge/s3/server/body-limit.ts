/** Whether a server, or a proxy in front of it, takes a request of some size: asked without sending a byte of it. */
import { type Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import { UploadPartCommand } from '@aws-sdk/client-s3';
import { buildQueryString, HttpRequest } from '@smithy/core/protocols';
import type { MultipartUpload } from '../multipart-uploads.ts';
import { sendOnce } from '../requests/send.ts';
import type { Bucket } from '../s3-client.ts';

/** Who does not know `Expect: 100-continue` waits for the body, and is taken for one that has no limit. */
const answerWithinMs = 3000;
/** Connections that may break before one says something. */
const attempts = 3;

/** Thrown in place of an answer: the request was announced, and not sent. */
class Announced extends Error {
  readonly status: number | undefined;

  constructor(status: number | undefined) {
    super('announced');
    this.status = status;
  }
}

/**
 * Announces a part of this size. Nothing is stored.
 * @returns the status with which it was refused at once; undefined where the server waits for the body, or says nothing
 */
export async function announcePart(
  bucket: Bucket,
  { key, uploadId }: MultipartUpload,
  sizeBytes: number,
): Promise<number | undefined> {
  const command = new UploadPartCommand({
    Bucket: bucket.name,
    Key: key,
    UploadId: uploadId,
    PartNumber: 1,
    ContentLength: sizeBytes,
    Body: Readable.from([]),
  });
  command.middlewareStack.add(
    (next) => (args) => {
      if (HttpRequest.isInstance(args.request)) args.request.headers.expect = '100-continue';
      return next(args);
    },
    { step: 'build', name: 'expectContinue' },
  );
  command.middlewareStack.add(
    () =>
      async ({ request }) => {
        throw new Announced(await announceUntilHeard(request as HttpRequest, bucket));
      },
    { step: 'deserialize', priority: 'low', name: 'announce' },
  );
  try {
    await sendOnce(bucket, command);
  } catch (error) {
    if (error instanceof Announced) return error.status;
    throw error;
  }
  return undefined;
}

/** A kept connection may be closed by the server just as it is used again, which says nothing of sizes: then another one is tried. */
async function announceUntilHeard(request: HttpRequest, bucket: Bucket): Promise<number | undefined> {
  for (let left = attempts; left > 0; left--) {
    const answer = await announce(request, bucket);
    if (answer !== 'broken') return answer;
  }
  return undefined;
}

/** Sends the head of a request, and waits for what comes back before the body. */
function announce(request: HttpRequest, { agents, signal }: Bucket): Promise<number | 'broken' | undefined> {
  const isSecure = request.protocol === 'https:';
  const agent: Agent = isSecure ? agents.httpsAgent : agents.httpAgent;
  const query = buildQueryString(request.query ?? {});
  const { hostname: host, port, method, headers } = request;
  const path = `${request.path}${query === '' ? '' : `?${query}`}`;
  return new Promise((resolve) => {
    const outgoing = (isSecure ? httpsRequest : httpRequest)({
      host,
      port,
      path,
      method,
      headers,
      agent,
      signal,
    });
    const end = (status?: number | 'broken') => {
      clearTimeout(timer);
      outgoing.destroy();
      resolve(status);
    };
    const timer = setTimeout(() => end(), answerWithinMs);
    outgoing.once('continue', () => end());
    outgoing.once('response', ({ statusCode }: IncomingMessage) => end(statusCode));
    outgoing.on('error', () => end('broken'));
    outgoing.flushHeaders();
  });
}
