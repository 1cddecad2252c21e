/** How a request vouches for its body, by the values S3 allows in `x-amz-content-sha256`. */
import { invalidArgument, S3Error } from './errors.ts';

/** How the body is vouched for: by its SHA-256, not at all, or by a checksum in a trailer of aws-chunked framing. */
export type Payload =
  | { readonly kind: 'signed'; readonly sha256Hex: string }
  | { readonly kind: 'unsigned' }
  | { readonly kind: 'unsigned-trailer' };

/**
 * Reads how the body is vouched for from `x-amz-content-sha256`.
 * @throws S3Error InvalidRequest when it is missing, InvalidArgument when it is none of the allowed values,
 *   NotImplemented for chunks that are signed one by one.
 */
export function parsePayload(value: string | undefined): Payload {
  if (value === undefined) {
    throw new S3Error('InvalidRequest', {
      message: 'Missing required header for this request: x-amz-content-sha256',
    });
  }
  if (value === 'UNSIGNED-PAYLOAD') {
    return { kind: 'unsigned' };
  }
  if (value === 'STREAMING-UNSIGNED-PAYLOAD-TRAILER') {
    return { kind: 'unsigned-trailer' };
  }
  if (value.startsWith('STREAMING-AWS4-')) {
    throw new S3Error('NotImplemented', { message: `x-amz-content-sha256 ${value} is not implemented` });
  }
  if (!/^[0-9a-f]{64}$/.test(value)) {
    throw invalidArgument(
      'x-amz-content-sha256',
      value,
      'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, or a valid sha256 value.',
    );
  }
  return { kind: 'signed', sha256Hex: value };
}
