/** What of S3 the habits of a provider take away, by the features of the contract: everything beside them stays S3's. */
import type { Feature } from '../../testing/harness/servers/features.ts';
import type { ProviderName } from '../../testing/s3-server/habits/providers.ts';

const conditionsIgnored: readonly Feature[] = [
  'conditional-complete',
  'conditional-writes',
  'error-codes',
  'strict-validation',
];
const noClasses: readonly Feature[] = ['storage-classes', 'unknown-storage-class'];
const noEncryption: readonly Feature[] = ['encryption', 'encryption-validation', 'kms'];

/** By provider. */
export const providerLacks: Readonly<Record<ProviderName, readonly Feature[]>> = {
  b2: [
    ...conditionsIgnored,
    'encryption-validation',
    'kms',
    'quoted-if-match',
    'race-answers',
    'repeated-completion',
    ...noClasses,
    'unquoted-if-match',
    'vouched-delete',
  ],
  r2: [
    'conditional-complete',
    'error-codes',
    'part-etags',
    'repeated-completion',
    ...noEncryption,
    ...noClasses,
    'vouched-delete',
  ],
  minio: [...noEncryption, 'list-uploads', 'storage-classes', 'upload-delimiter', 'vouched-delete'],
  oss: [...conditionsIgnored, 'vouched-delete'],
  cos: [...conditionsIgnored, 'vouched-delete'],
  garage: [...conditionsIgnored, 'default-encryption', ...noEncryption, ...noClasses],
  ceph: ['conditional-complete'],
  riak: [
    ...conditionsIgnored,
    'complete-etag',
    'default-encryption',
    'repeated-completion',
    ...noEncryption,
    ...noClasses,
  ],
  seaweedfs: ['complete-etag', 'repeated-completion'],
  ecs: ['vouched-delete'],
  late: [],
  nginx: ['large-puts'],
  expiring: [],
};
