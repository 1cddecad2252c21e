/**
 * What a server says of an error is shown to people and kept in logs, but anything may stand in it: S3 repeats the request when
 * it refuses a signature, and what stands between here and a server may repeat all of its headers, the session token too.
 */
import type { S3Client } from '@aws-sdk/client-s3';

/** Enough for every sentence of S3. */
const maxCharacters = 300;

/** A shorter secret could be an ordinary word. */
const minSecretCharacters = 8;

const removed = '(removed)';

/** Signatures by themselves, as in a header or an address, and whatever a header for credentials holds. */
const credentials =
  /((?:\bX-Amz-)?Signature["'\s]*[:=]["'\s]*)[0-9a-f]{64}|(\b(?:authorization|x-amz-security-token)["'\s]*[:=]["'\s]*)(?!\(removed\))(?:AWS4-HMAC-SHA256\s)?[^\s"'<>&,;]+|()AWS4-HMAC-SHA256\s+Credential=[^\s,]+/gi;

/** A text as one line that can be shown: without secrets in any usual encoding, control characters and endless length. */
export function cleanText(text: string, secrets: readonly (string | undefined)[]): string {
  const clean = withoutSecrets(text, secrets)
    .replace(credentials, (_, ...before: readonly (string | undefined)[]) => {
      return `${before.find((text) => text !== undefined)}${removed}`;
    })
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim();
  return clean.length > maxCharacters ? `${clean.slice(0, maxCharacters)} …` : clean;
}

function withoutSecrets(text: string, secrets: readonly (string | undefined)[]): string {
  let clean = text;
  for (const secret of secrets) {
    if (secret === undefined || secret.length < minSecretCharacters) continue;
    for (const form of formsOf(secret)) clean = clean.replaceAll(form, removed);
  }
  return clean;
}

function formsOf(secret: string): readonly string[] {
  const bytes = Buffer.from(secret);
  const html = (quote: (character: string) => string) => secret.replace(/[^\w.~-]/g, quote);
  return [
    secret,
    encodeURIComponent(secret),
    secret.replaceAll('/', '\\/'),
    html((character) => `&#${character.charCodeAt(0)};`),
    html((character) => `&#x${character.charCodeAt(0).toString(16).toUpperCase()};`),
    bytes.toString('base64'),
    bytes.toString('base64url'),
    bytes.toString('hex'),
  ];
}

/** Cleans the errors of every request of a client, before anything reads them. */
export function cleanErrors(client: S3Client): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      try {
        return await next(args);
      } catch (error) {
        // They are kept by the SDK; where there are none, nothing was sent that could be repeated.
        const found = await client.config.credentials().catch(() => undefined);
        if (error instanceof Error) cleanError(error, [found?.secretAccessKey, found?.sessionToken]);
        throw error;
      }
    },
    { step: 'initialize', priority: 'high', name: 'cleanErrors' },
  );
}

/** Cleans whatever of an error may be shown. */
export function cleanError(error: Error, secrets: readonly (string | undefined)[]): void {
  const clean = (text: string) => cleanText(text, secrets);
  replace(error, 'message', clean(error.message));
  replace(error, 'name', clean(error.name));
  // For defects, which are shown with it.
  const stackOf = takeStack(error);
  let stack: string | undefined;
  Object.defineProperty(error, 'stack', {
    get: () => {
      stack ??= stackOf().split('\n').map(clean).join('\n    ');
      return stack;
    },
    // Node and others add to stack traces by assigning them.
    set: (value: string) => {
      stack = value;
    },
    configurable: true,
  });
}

/**
 * The stack trace of an error, as text when that is asked for. An object that is not there is an error for the SDK, and no run is without
 * one; to name the files and lines takes 30 ms, as the source map is read for it (launcher/stack-traces.cjs).
 */
function takeStack(error: Error): () => string {
  const prepare: unknown = Reflect.get(Error, 'prepareStackTrace');
  if (typeof prepare !== 'function') {
    const { stack = '' } = error;
    return () => stack;
  }
  Reflect.set(Error, 'prepareStackTrace', (_: Error, frames: readonly NodeJS.CallSite[]) => frames);
  let found: unknown;
  try {
    found = error.stack;
  } finally {
    Reflect.set(Error, 'prepareStackTrace', prepare);
  }
  // It is a text where it was asked for before.
  return () => String(Array.isArray(found) ? prepare(error, found) : (found ?? ''));
}

/** An abort is a DOMException, whose properties cannot be assigned to. */
function replace(error: Error, property: 'message' | 'name', value: string): void {
  Object.defineProperty(error, property, { value, configurable: true, writable: true });
}
