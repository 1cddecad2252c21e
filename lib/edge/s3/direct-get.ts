/**
 * GetObject whose body goes from the socket into the caller's memory. The SDK builds and signs the request and reads the head of the
 * answer, errors too; only its HTTP client is left out. Where that cannot be done, it sends the request as always: through a proxy, and
 * when a server answers in another form than S3 does.
 */
import { Readable } from 'node:stream';
import type { GetObjectCommand, GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { SilentConnection } from '../http/connection.ts';
import { directOptions, type Origin } from '../http/connection-pool.ts';
import { type Framing, type ResponseHead, UnusualResponse } from '../http/response-head.ts';
import { sendOnce } from './requests/send.ts';
import type { Bucket } from './s3-client.ts';
import { StalledError } from './s3-errors.ts';

/** What is read, and to where. */
export interface DirectGet {
  /** Names bucket, key and, as its range, the bytes from `offset` on that fill the target. */
  readonly command: GetObjectCommand;
  readonly offset: number;
  readonly target: Uint8Array;
  /** Called with the number of bytes that arrived in the target. */
  readonly onBytes: (bytes: number) => void;
}

/** Answers in a form that is not understood, one after the other, until no more is sent this way: each costs a request of its own. */
const mostUnusual = 3;

/** How many of a server's last answers were not understood. */
const unusualAnswers = new WeakMap<Bucket['client'], number>();

/**
 * Sends the command once.
 * @returns undefined when the target is filled; else what the SDK gives, with a body that is still to be read
 * @throws as `sendOnce` does
 */
export async function getInto(bucket: Bucket, get: DirectGet): Promise<GetObjectCommandOutput | undefined> {
  let isFilled = false;
  get.command.middlewareStack.add(
    (next) => async (args) => {
      const response = await answerOf(bucket, args.request, get);
      if (!response) return next(args);
      isFilled = response.isFilled;
      return { response };
    },
    { step: 'deserialize', priority: 'low', name: 'getInto' },
  );
  const output = await sendOnce(bucket, get.command);
  return isFilled ? undefined : output;
}

/** The answer, as the SDK wants it from its HTTP client; undefined when that has to send the request. */
async function answerOf({ client, connections, signal }: Bucket, request: unknown, get: DirectGet) {
  if ((unusualAnswers.get(client) ?? 0) >= mostUnusual || !isPlainGet(request)) return undefined;
  const origin = originOf(client, request);
  if (!origin) return undefined;
  const { offset, target, onBytes } = get;
  let counted = 0;
  const count = (bytes: number) => {
    counted += bytes;
    onBytes(bytes);
  };
  let isFilled = false;
  const targetOf = (head: ResponseHead, framing: Framing) => {
    if (head.status >= 300) return undefined;
    if (!isRange(head, framing, offset, target.length)) throw new UnusualResponse('another range');
    isFilled = true;
    return target;
  };
  try {
    const exchange = { request: requestText(request), targetOf, onBytes: count, signal };
    const { head, body } = await connections.send(origin, exchange);
    unusualAnswers.delete(client);
    const { status, reason, headers } = head;
    return { statusCode: status, reason, headers: { ...headers }, body: Readable.from([body]), isFilled };
  } catch (error) {
    if (error instanceof SilentConnection && error.isWithinAnswer) {
      throw new StalledError(`${get.command.input.Key}: no data for a minute`, { cause: error });
    }
    if (!(error instanceof UnusualResponse)) throw error;
    onBytes(-counted);
    unusualAnswers.set(client, (unusualAnswers.get(client) ?? 0) + 1);
    return undefined;
  }
}

/** Whether a body is the range that was asked for, and lies in the answer as it does in the object. */
function isRange(
  { status, headers }: ResponseHead,
  framing: Framing,
  offset: number,
  length: number,
): boolean {
  if (framing.kind !== 'length' || framing.bytes !== length) return false;
  if ((headers['content-encoding'] ?? 'identity') !== 'identity') return false;
  if (status === 200) return offset === 0 && headers['content-range'] === undefined;
  const [, from, to] = /^bytes (\d+)-(\d+)\/(?:\d+|\*)$/.exec(headers['content-range'] ?? '') ?? [];
  return status === 206 && Number(from) === offset && Number(to) === offset + length - 1;
}

/** A request as the SDK hands it to its HTTP client. */
interface PlainGet {
  readonly method: 'GET';
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
}

/** Whether there is nothing in a request that has to be encoded in more than one way, or not at all. */
function isPlainGet(request: unknown): request is PlainGet {
  const { method, protocol, hostname, port, path, query, headers, ...more } = request as Record<
    string,
    unknown
  >;
  const isUnset = (value: unknown) => value === undefined || value === null;
  return (
    method === 'GET' &&
    (protocol === 'http:' || protocol === 'https:') &&
    typeof hostname === 'string' &&
    (port === undefined || typeof port === 'number') &&
    typeof path === 'string' &&
    /^\/[\x21-\x7e]*$/.test(path) &&
    hasStrings(query, /^/) &&
    hasStrings(headers, /^[\t\x20-\x7e]*$/) &&
    ['body', 'username', 'password', 'fragment'].every((name) => isUnset(more[name]))
  );
}

function hasStrings(record: unknown, form: RegExp): boolean {
  if (typeof record !== 'object' || record === null) return false;
  return Object.entries(record).every(
    ([name, value]) => /^[!-9;-~]+$/.test(name) && typeof value === 'string' && form.test(value),
  );
}

function originOf(client: Bucket['client'], { protocol, hostname, port }: PlainGet): Origin | undefined {
  const isTls = protocol === 'https:';
  const { httpAgent, httpsAgent } = agentsOf(client.config.requestHandler);
  const options = directOptions(isTls ? httpsAgent : httpAgent, isTls);
  if (!options) return undefined;
  return { isTls, host: hostname.replace(/^\[(.*)\]$/, '$1'), port: port ?? (isTls ? 443 : 80), options };
}

/** Of the SDK's HTTP client for Node (@smithy/node-http-handler), which has them once it has sent a request. */
function agentsOf(handler: object): { readonly httpAgent?: unknown; readonly httpsAgent?: unknown } {
  if (!('httpHandlerConfigs' in handler) || typeof handler.httpHandlerConfigs !== 'function') return {};
  return handler.httpHandlerConfigs();
}

function requestText({ path, query, headers }: PlainGet): string {
  const pairs = Object.entries(query).map((pair) => pair.map(escapeUri).join('='));
  const target = pairs.length === 0 ? path : `${path}?${pairs.join('&')}`;
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${target} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

/** As it was signed (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html). */
function escapeUri(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
