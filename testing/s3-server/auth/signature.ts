/**
 * Signature version 4 in the Authorization header: the canonical request is signed again with the secret and
 * compared (https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html).
 */
import { S3Error } from '../http/errors.ts';
import { type Payload, parsePayload } from '../http/payload.ts';
import type { S3Request } from '../http/request.ts';
import {
  type Account,
  canonicalPath,
  checkCredential,
  createSigner,
  MAX_SKEW_MS,
  parseAmzDate,
  sameSignature,
  signedHeaders,
} from './sigv4.ts';

const AUTHORIZATION =
  /^AWS4-HMAC-SHA256\s+Credential=([^/,\s]+)\/(\d{8})\/([^/,\s]+)\/([^/,\s]+)\/aws4_request,\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9a-f]{64})$/;

/**
 * Verifies a request's Authorization header.
 * @param now the server's time, in milliseconds since the epoch
 * @returns how the body is vouched for; the body itself is checked while it is read
 * @throws S3Error AccessDenied, InvalidAccessKeyId, RequestTimeTooSkewed, SignatureDoesNotMatch and others
 */
export async function verifyHeaderSignature(
  request: S3Request,
  account: Account,
  now: number,
): Promise<Payload> {
  const authorization = request.headers.authorization;
  if (authorization === undefined) {
    throw new S3Error('AccessDenied');
  }
  if (!authorization.startsWith('AWS4-HMAC-SHA256')) {
    throw new S3Error('InvalidRequest', {
      message: 'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.',
    });
  }
  const [, keyId, date, region, service, names, signature] = AUTHORIZATION.exec(authorization) ?? [];
  if (!keyId || !date || !region || !service || !names || !signature) {
    throw new S3Error('AuthorizationHeaderMalformed');
  }
  const amzDate = request.headers['x-amz-date'];
  const signingDate = parseAmzDate(amzDate);
  if (amzDate === undefined || signingDate === undefined) {
    throw new S3Error('AccessDenied', {
      message: 'AWS authentication requires a valid Date or x-amz-date header',
    });
  }
  checkCredential(account, keyId, [date, region, service], amzDate);
  if (Math.abs(now - signingDate.getTime()) > MAX_SKEW_MS) {
    throw new S3Error('RequestTimeTooSkewed', {
      elements: {
        RequestTime: amzDate,
        ServerTime: new Date(now).toISOString(),
        MaxAllowedSkewMilliseconds: String(MAX_SKEW_MS),
      },
    });
  }
  const payload = parsePayload(request.headers['x-amz-content-sha256']);
  const headers = signedHeaders(request, names.split(';'));
  const again = await createSigner(account).sign(
    {
      method: request.method,
      protocol: 'http:',
      hostname: '127.0.0.1',
      path: canonicalPath(request.path),
      query: { ...request.query },
      headers,
    },
    // The signer leaves some headers out (user-agent, expect) unless asked to sign them, as this client did.
    { signingDate, signableHeaders: new Set(names.split(';')) },
  );
  const expected = /Signature=([0-9a-f]{64})$/.exec(again.headers.authorization ?? '')?.[1] ?? '';
  if (!sameSignature(expected, signature)) {
    throw new S3Error('SignatureDoesNotMatch', {
      elements: { AWSAccessKeyId: keyId, SignatureProvided: signature },
    });
  }
  return payload;
}
