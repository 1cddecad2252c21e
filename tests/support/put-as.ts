/** Objects in storage classes of their own. */
import { PutObjectCommand } from '@aws-sdk/client-s3';
import type { Bucket } from '../../lib/edge/s3/s3-client.ts';

/** Stores `abc` in a storage class, with its checksum if one is given. */
export async function putAs(
  bucket: Bucket,
  key: string,
  StorageClass: 'GLACIER' | 'DEEP_ARCHIVE' | 'GLACIER_IR' | 'STANDARD',
  sha256?: string,
): Promise<void> {
  const checksum = sha256 === undefined ? {} : { ChecksumSHA256: sha256 };
  await bucket.client.send(
    new PutObjectCommand({ Bucket: bucket.name, Key: key, Body: 'abc', StorageClass, ...checksum }),
  );
}
