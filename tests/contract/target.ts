/**
 * What the contract is tried against, and the hands to try it with: an SDK client, and raw requests signed here,
 * for what the SDK would hide or put right.
 */
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { Sha256 } from '@aws-crypto/sha256-js';
import { type S3Client, S3ServiceException } from '@aws-sdk/client-s3';
import { SignatureV4 } from '@smithy/signature-v4';
import type { Feature } from '../../testing/harness/servers/features.ts';
import type { Outcomes } from './outcomes.ts';

/** A server under test. */
export interface Target {
  readonly name: string;
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Belongs to the keys where they are temporary ones. */
  readonly sessionToken?: string | undefined;
  readonly bucket: string;
  /** False where requests name the bucket in the host. */
  readonly pathStyle?: boolean;
  /** True where uploads bring no checksums of their own. */
  readonly withoutChecksums?: boolean;
  /** Every key of the tests begins with this, and everything under it is removed afterwards. */
  readonly prefix: string;
  readonly lacks: ReadonlySet<Feature>;
  /** Size of an object that is large for one request; 20 MiB where it is left out. */
  readonly largePutBytes?: number;
  /** One client for all tests; it does not retry, so that every refusal is seen. */
  readonly client: S3Client;
  readonly outcomes: Outcomes;
}

/** Defines a test that is skipped where the target lacks the feature; without a feature every server has to pass it. */
export function check(
  target: Target,
  feature: Feature | undefined,
  name: string,
  body: () => Promise<void>,
): void {
  if (feature !== undefined && target.lacks.has(feature)) {
    target.outcomes.count(feature, 'skipped');
    test(name, { skip: `${target.name} lacks ${feature}` });
    return;
  }
  test(name, { timeout: 60_000 }, async () => {
    try {
      await body();
      target.outcomes.count(feature, 'passed');
    } catch (error) {
      target.outcomes.count(feature, 'failed');
      throw error;
    }
  });
}

/** A key no other test uses. */
export function freshKey(target: Target, name = 'object'): string {
  return `${target.prefix}${randomUUID()}/${name}`;
}

async function refusal(call: Promise<unknown>, expected: string): Promise<S3ServiceException> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof S3ServiceException, `expected a refusal by the server, got ${String(error)}`);
    return error;
  }
  assert.fail(`expected ${expected}, and the call succeeded`);
}

/** Asserts that a call is refused with this code and status. */
export async function refused(
  call: Promise<unknown>,
  code: string,
  status: number,
): Promise<S3ServiceException> {
  const error = await refusal(call, `${code} (${status})`);
  assert.deepEqual([error.name, error.$metadata.httpStatusCode], [code, status]);
  return error;
}

/** Asserts that a call is refused with one of these statuses, where servers differ about the code. */
export async function refusedWith(call: Promise<unknown>, ...statuses: number[]): Promise<void> {
  const { name, $metadata } = await refusal(call, statuses.join(' or '));
  assert.ok(statuses.includes($metadata.httpStatusCode ?? 0), `${name} (${$metadata.httpStatusCode})`);
}

/** A digest in base64, as S3 writes them. */
export function digest(algorithm: string, data: string | Buffer): string {
  return createHash(algorithm).update(data).digest('base64');
}

/** A digest in hexadecimal. */
export function hexDigest(algorithm: string, data: string | Buffer): string {
  return createHash(algorithm).update(data).digest('hex');
}

/** A raw request; by default rightly signed by the target's account, for the body it carries. */
export interface RawRequest {
  readonly method: string;
  /** Undefined for a request to the bucket. */
  readonly key?: string | undefined;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer | ReadableStream;
  /** What `x-amz-content-sha256` says; by default the body's hash. */
  readonly contentSha256?: string;
  readonly signedAt?: Date;
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
  readonly region?: string;
  /** Changes the headers after they were signed. */
  readonly tamper?: (headers: Record<string, string>) => void;
  /** Changes the path and query after they were signed. */
  readonly tamperUrl?: (url: string) => string;
}

/** What came back. */
export interface RawResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The Code of an error document, if it is one. */
  readonly code: string | undefined;
}

/** Percent-encodes a key for a path, as S3 wants it. */
export function encodeKey(key: string): string {
  return encodeURIComponent(key)
    .replaceAll('%2F', '/')
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** The signer of an account for S3. */
export function signer(target: Target, request: Partial<RawRequest> = {}): SignatureV4 {
  return new SignatureV4({
    service: 's3',
    region: request.region ?? target.region,
    credentials: {
      accessKeyId: request.accessKeyId ?? target.accessKeyId,
      secretAccessKey: request.secretAccessKey ?? target.secretAccessKey,
      ...(target.sessionToken === undefined ? {} : { sessionToken: target.sessionToken }),
    },
    sha256: Sha256,
    uriEscapePath: false,
    applyChecksum: false,
  });
}

/** The server's address for a target's bucket, and what its paths begin with. */
function placeOf({ endpoint, bucket, pathStyle = true }: Target): {
  readonly base: URL;
  readonly root: string;
} {
  const base = new URL(endpoint);
  if (!pathStyle) base.hostname = `${bucket}.${base.hostname}`;
  return { base, root: pathStyle ? `/${bucket}` : '' };
}

/** Sends a request exactly as described. */
export async function raw(target: Target, request: RawRequest): Promise<RawResponse> {
  const { base, root } = placeOf(target);
  const { hostname, host, protocol } = base;
  const path = `${root}${request.key === undefined ? '' : `/${encodeKey(request.key)}`}` || '/';
  const body = request.body ?? '';
  const hash = body instanceof ReadableStream ? 'UNSIGNED-PAYLOAD' : hexDigest('sha256', body);
  const signed = await signer(target, request).sign(
    {
      method: request.method,
      protocol,
      hostname,
      path,
      query: { ...request.query },
      headers: { host, 'x-amz-content-sha256': request.contentSha256 ?? hash, ...request.headers },
    },
    { signingDate: request.signedAt ?? new Date() },
  );
  const headers = { ...signed.headers };
  request.tamper?.(headers);
  delete headers.host;
  const query = new URLSearchParams(request.query).toString().replaceAll('+', '%20');
  const url = `${base.origin}${path}${query === '' ? '' : `?${query}`}`;
  const hasBody =
    body instanceof ReadableStream ||
    body.length > 0 ||
    request.method === 'PUT' ||
    request.method === 'POST';
  const response = await fetch(request.tamperUrl?.(url) ?? url, {
    method: request.method,
    headers,
    ...(hasBody ? { body: body instanceof Buffer ? new Uint8Array(body) : body, duplex: 'half' } : {}),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    code: /<Code>([^<]+)<\/Code>/.exec(text)?.[1],
  };
}

/** Asserts the status and code of a raw response at once, so that a failure shows both. */
export function assertRefusal(response: RawResponse, code: string, status: number): void {
  assert.deepEqual([response.status, response.code], [status, code], response.text.slice(0, 500));
}

/** Begins a PUT whose body of a known length is written by the caller; the response rejects when the connection breaks. */
export async function beginPut(
  target: Target,
  key: string,
  length: number,
): Promise<{ readonly request: ClientRequest; readonly response: Promise<IncomingMessage> }> {
  const { base, root } = placeOf(target);
  const { hostname, host, port } = base;
  const path = `${root}/${encodeKey(key)}`;
  const { headers } = await signer(target).sign({
    method: 'PUT',
    protocol: 'http:',
    hostname,
    path,
    headers: { host, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' },
  });
  const request = httpRequest({
    hostname,
    port,
    path,
    method: 'PUT',
    headers: { ...headers, 'content-length': length },
    // A connection of its own, so that no idle one outlives the test.
    agent: false,
  });
  const response = new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve);
    request.on('error', reject);
  });
  return { request, response };
}
