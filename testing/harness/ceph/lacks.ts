/**
 * What the gateway of Ceph 16 (Debian 12) lacks of S3. Of every name all tests were seen to fail. Whether a newer Ceph has
 * learned something, `with-s3-server.ts ceph -- env S3_LACKS= testing/run-tests.sh tests/contract/s3-contract.test.ts` shows.
 */
import type { Feature } from '../servers/features.ts';

/** See features.ts for what each of them means. */
export const cephLacks: ReadonlySet<Feature> = new Set<Feature>([
  'archive',
  'archive-listing',
  'checksums',
  'complete-etag',
  'conditional-complete',
  'conditional-delete',
  'content-sha256-header',
  'default-encryption',
  'empty-suffix',
  'encryption',
  'encryption-validation',
  'error-codes',
  'error-messages',
  'etag-on-304',
  'glacier-ir',
  'kms',
  'listing-validation',
  'malformed-ranges',
  'metadata-limit',
  'part-number-limit',
  'part-number-zero',
  'part-order',
  'quoted-if-match',
  'race-answers',
  'signing-region',
  'standard-by-silence',
  'start-inside-prefix',
  'strict-signature',
  'strict-validation',
  'trailers',
  'unknown-upload-complete',
  'unknown-upload-list',
  'unlisted-parts',
  'unsigned-headers',
  'upload-delimiter',
  'vouched-delete',
]);
