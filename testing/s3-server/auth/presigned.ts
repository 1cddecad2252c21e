/**
 * Presigned URLs: the signature is in the query, covers the host, and is good for a time
 * (https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html).
 */
import { S3Error } from '../http/errors.ts';
import { type Payload, parsePayload } from '../http/payload.ts';
import type { S3Request } from '../http/request.ts';
import {
  type Account,
  canonicalPath,
  checkCredential,
  createSigner,
  parseAmzDate,
  sameSignature,
  signedHeaders,
} from './sigv4.ts';

/** S3's longest validity, in seconds: a week. */
const MAX_EXPIRES_S = 7 * 24 * 60 * 60;

/** The parameters that signing adds; what is left is what was signed. */
const SIGNING_PARAMETERS = [
  'X-Amz-Algorithm',
  'X-Amz-Credential',
  'X-Amz-Date',
  'X-Amz-Expires',
  'X-Amz-SignedHeaders',
  'X-Amz-Signature',
];

/** Whether a request is signed in its query. */
export function isPresigned(request: S3Request): boolean {
  return 'X-Amz-Algorithm' in request.query;
}

function malformed(message: string): S3Error {
  return new S3Error('AuthorizationQueryParametersError', { message });
}

/**
 * Verifies a presigned URL.
 * @param now the server's time, in milliseconds since the epoch
 * @throws S3Error AuthorizationQueryParametersError, AccessDenied when it has expired or is not valid yet,
 *   InvalidAccessKeyId, SignatureDoesNotMatch
 */
export async function verifyPresigned(request: S3Request, account: Account, now: number): Promise<Payload> {
  const [algorithm, credential, amzDate, expiresText, names, signature] = SIGNING_PARAMETERS.map(
    (name) => request.query[name],
  );
  const signingDate = parseAmzDate(amzDate);
  if (!algorithm || !credential || !amzDate || !signingDate || !expiresText || !names || !signature) {
    throw malformed('Query-string authentication version 4 requires all of its parameters, well-formed');
  }
  const [keyId = '', date = '', region = '', service = '', ending = ''] = credential.split('/');
  const expiresIn = Number(expiresText);
  if (algorithm !== 'AWS4-HMAC-SHA256' || ending !== 'aws4_request') {
    throw malformed(
      'X-Amz-Algorithm only supports "AWS4-HMAC-SHA256", for a scope that ends in aws4_request',
    );
  }
  if (!/^\d+$/.test(expiresText) || expiresIn > MAX_EXPIRES_S) {
    throw malformed('X-Amz-Expires must be a number of seconds, no more than a week');
  }
  checkCredential(account, keyId, [date, region, service], amzDate);
  if (now > signingDate.getTime() + expiresIn * 1000) {
    throw new S3Error('AccessDenied', { message: 'Request has expired' });
  }
  const headers = signedHeaders(request, names.split(';'));
  const query = Object.fromEntries(
    Object.entries(request.query).filter(([name]) => !SIGNING_PARAMETERS.includes(name)),
  );
  const again = await createSigner(account).presign(
    {
      method: request.method,
      protocol: 'http:',
      hostname: '127.0.0.1',
      path: canonicalPath(request.path),
      query,
      headers,
      // A body the signer cannot hash makes it sign UNSIGNED-PAYLOAD, which is what S3 takes for a presigned URL.
      body: request.stream,
    },
    {
      signingDate,
      expiresIn,
      unhoistableHeaders: new Set(names.split(';')),
      signableHeaders: new Set(names.split(';')),
    },
  );
  if (!sameSignature(String(again.query?.['X-Amz-Signature'] ?? ''), signature)) {
    throw new S3Error('SignatureDoesNotMatch', {
      elements: { AWSAccessKeyId: keyId, SignatureProvided: signature },
    });
  }
  return parsePayload(request.headers['x-amz-content-sha256'] ?? 'UNSIGNED-PAYLOAD');
}
