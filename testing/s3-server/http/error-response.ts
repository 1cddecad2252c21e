/** An error as S3 answers it. */
import type { S3Response } from './call.ts';
import { S3Error } from './errors.ts';
import { buildPlainDocument } from './xml.ts';

/**
 * The response for whatever an operation threw. Anything but an S3Error is a defect of this server or of its disk:
 * the client gets 500 InternalError, standard error the cause.
 */
export function errorResponse(error: unknown, method: string, path: string, requestId: string): S3Response {
  if (!(error instanceof S3Error)) {
    console.error(`s3-server: ${method} ${path}:`, error);
  }
  const known = error instanceof S3Error ? error : new S3Error('InternalError', { cause: error });
  const body = buildPlainDocument('Error', {
    Code: known.code,
    Message: known.message,
    ...known.elements,
    Resource: path,
    RequestId: requestId,
    HostId: 's3-server',
  });
  // The answer to HEAD has no body, so its client only ever sees the status.
  return {
    status: known.status,
    headers: { ...known.headers, 'content-type': 'application/xml' },
    ...(method === 'HEAD' ? {} : { body }),
  };
}
