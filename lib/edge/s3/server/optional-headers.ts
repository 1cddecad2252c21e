/**
 * Headers that some servers refuse, although nothing depends on them: checksums, where Content-MD5 serves as well, and attributes
 * of listings, which HEAD shows too. Every request of a client passes here, so that nothing else has to handle it.
 */
import { createHash } from 'node:crypto';
import type { S3Client } from '@aws-sdk/client-s3';
import { HttpRequest } from '@smithy/core/protocols';
import { detailsOf, statusOf } from '../s3-errors.ts';
import type { OptionalHeaders, ServerHabits } from './habits.ts';

const patterns: Readonly<Record<OptionalHeaders, RegExp>> = {
  checksums: /x-amz-(checksum-|sdk-checksum-algorithm)/,
  attributes: /x-amz-optional-object-attributes/,
};

/** A header that may be what is refused: not all servers name it. */
interface Suspect {
  readonly header: OptionalHeaders;
  readonly isNamed: boolean;
}

/**
 * Leaves out of each request what the server is known to refuse, and finds out what it does: a request that is refused for an optional
 * header is sent once more without. DeleteObjects always brings its MD5, which many servers demand and the SDK does not send
 * (https://github.com/aws/aws-sdk-js-v3/issues/6920).
 */
export function adaptHeaders(client: S3Client, habits: ServerHabits): void {
  client.middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        if (!HttpRequest.isInstance(args.request)) return next(args);
        const isDelete = commandName === 'DeleteObjectsCommand';
        let tried: { readonly header: OptionalHeaders; readonly error: unknown } | undefined;
        for (;;) {
          const request = adapted(args.request, isDelete, [
            ...habits.leftOut,
            ...(tried ? [tried.header] : []),
          ]);
          try {
            const answer = await next({ ...args, request });
            if (tried) habits.refuse(tried.header);
            return answer;
          } catch (error) {
            // It was not that header: what is wrong was said the first time.
            if (tried && statusOf(tried.error) === statusOf(error)) throw tried.error;
            if (tried) habits.refuse(tried.header);
            const suspect = tried ? undefined : suspectOf(error, request, habits);
            if (suspect === undefined) throw error;
            if (suspect.isNamed) habits.refuse(suspect.header);
            // Whoever sends the bytes of a part has them, and sends them again.
            if (!isReplayable(request.body)) throw error;
            if (!suspect.isNamed) tried = { header: suspect.header, error };
          }
        }
      },
    // Behind what adds headers of its own, and before the signature.
    { step: 'build', priority: 'low', name: 'adaptHeaders' },
  );
}

function adapted(original: HttpRequest, isDelete: boolean, leftOut: readonly OptionalHeaders[]): HttpRequest {
  const request = HttpRequest.clone(original);
  const isLeftOut = (name: string) => leftOut.some((header) => patterns[header].test(name));
  const kept = Object.entries(request.headers).filter(([name]) => !isLeftOut(name.toLowerCase()));
  const isShorter = kept.length < Object.keys(request.headers).length;
  request.headers = Object.fromEntries(kept);
  const { body } = request;
  const hasBytes = typeof body === 'string' || body instanceof Uint8Array;
  if (hasBytes && (isDelete || isShorter)) {
    request.headers['content-md5'] ??= createHash('md5').update(body).digest('base64');
  }
  return request;
}

/** The header that a request may have been refused for; undefined where it was something else, or nothing can be left out. */
function suspectOf(error: unknown, { headers }: HttpRequest, habits: ServerHabits): Suspect | undefined {
  if (![400, 501].includes(statusOf(error))) return undefined;
  const isSent = (header: OptionalHeaders) =>
    Object.keys(headers).some((name) => patterns[header].test(name));
  // Another request has found it out while this one was on its way.
  const known = habits.leftOut.find(isSent);
  if (known !== undefined) return { header: known, isNamed: true };
  const sent = (Object.keys(patterns) as OptionalHeaders[]).filter(
    (header) => habits.canDoWithout(header) && isSent(header),
  );
  const { name, message = '' } = detailsOf(error);
  const named = sent.find((header) => patterns[header].test(message.toLowerCase()));
  if (named !== undefined) return { header: named, isNamed: true };
  const [first] = sent;
  const isVague = name === 'NotImplemented' && !/x-amz-|if-(none-)?match/i.test(message);
  return first === undefined || !isVague ? undefined : { header: first, isNamed: false };
}

function isReplayable(body: unknown): boolean {
  return body === undefined || typeof body === 'string' || body instanceof Uint8Array;
}
