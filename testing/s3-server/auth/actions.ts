/**
 * The IAM actions that each operation needs, from https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
 * and https://docs.aws.amazon.com/service-authorization/latest/reference/list_s3.html. Operations that the server does
 * not have yet may stand here already; one that is missing here is refused as soon as permissions are restricted.
 */
import type { S3Request } from '../http/request.ts';

const NEEDS = {
  AbortMultipartUpload: ['s3:AbortMultipartUpload'],
  CompleteMultipartUpload: ['s3:PutObject'],
  CreateBucket: ['s3:CreateBucket'],
  CreateMultipartUpload: ['s3:PutObject'],
  DeleteBucket: ['s3:DeleteBucket'],
  DeleteBucketLifecycle: ['s3:PutLifecycleConfiguration'],
  DeleteObject: ['s3:DeleteObject'],
  // Allowed or denied key by key, within the answer.
  DeleteObjects: [],
  GetBucketLifecycleConfiguration: ['s3:GetLifecycleConfiguration'],
  GetBucketLocation: ['s3:GetBucketLocation'],
  GetBucketVersioning: ['s3:GetBucketVersioning'],
  GetObject: ['s3:GetObject'],
  GetObjectAttributes: ['s3:GetObject', 's3:GetObjectAttributes'],
  GetObjectLegalHold: ['s3:GetObjectLegalHold'],
  GetObjectLockConfiguration: ['s3:GetBucketObjectLockConfiguration'],
  GetObjectRetention: ['s3:GetObjectRetention'],
  HeadBucket: ['s3:ListBucket'],
  HeadObject: ['s3:GetObject'],
  ListBuckets: ['s3:ListAllMyBuckets'],
  ListMultipartUploads: ['s3:ListBucketMultipartUploads'],
  ListObjectVersions: ['s3:ListBucketVersions'],
  ListObjectsV2: ['s3:ListBucket'],
  ListParts: ['s3:ListMultipartUploadParts'],
  PutBucketLifecycleConfiguration: ['s3:PutLifecycleConfiguration'],
  PutBucketVersioning: ['s3:PutBucketVersioning'],
  PutObject: ['s3:PutObject'],
  PutObjectLegalHold: ['s3:PutObjectLegalHold'],
  PutObjectLockConfiguration: ['s3:PutBucketObjectLockConfiguration'],
  PutObjectRetention: ['s3:PutObjectRetention'],
  RestoreObject: ['s3:RestoreObject'],
  UploadPart: ['s3:PutObject'],
} as const satisfies Record<string, readonly string[]>;

type OperationName = keyof typeof NEEDS;

/** Reading or deleting a version that is named needs the action for versions instead of the plain one. */
const OF_VERSIONS: Readonly<Record<string, Action>> = {
  's3:GetObject': 's3:GetObjectVersion',
  's3:GetObjectAttributes': 's3:GetObjectVersionAttributes',
  's3:DeleteObject': 's3:DeleteObjectVersion',
};

/** What a header of a request asks for besides the operation. */
const BY_HEADER = {
  'x-amz-object-lock-mode': 's3:PutObjectRetention',
  'x-amz-object-lock-legal-hold': 's3:PutObjectLegalHold',
  'x-amz-bypass-governance-retention': 's3:BypassGovernanceRetention',
  'x-amz-bucket-object-lock-enabled': 's3:PutBucketObjectLockConfiguration',
} as const;

/** An IAM action, such as `s3:PutObject`. */
export type Action =
  | (typeof NEEDS)[OperationName][number]
  | (typeof BY_HEADER)[keyof typeof BY_HEADER]
  | 's3:DeleteObjectVersion'
  | 's3:GetObjectVersion'
  | 's3:GetObjectVersionAttributes';

/** The operations by the names that S3's API gives them. */
export const OPERATIONS = Object.keys(NEEDS) as readonly OperationName[];

/** Every action that an operation can need. */
export const ACTIONS: ReadonlySet<string> = new Set([
  ...Object.values(NEEDS).flat(),
  ...Object.values(OF_VERSIONS),
  ...Object.values(BY_HEADER),
]);

/** What deleting one key needs; comparing its ETag is reading it (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-delete-enforce.html). */
export function deleteActions(versionId: string | undefined, etag: string | undefined): readonly Action[] {
  const action: Action = versionId === undefined ? 's3:DeleteObject' : 's3:DeleteObjectVersion';
  return etag === undefined || etag === '*' ? [action] : [action, 's3:GetObject'];
}

function byHeaders(headers: S3Request['headers']): readonly Action[] {
  return Object.entries(BY_HEADER)
    .filter(([name]) => headers[name] !== undefined && headers[name].toLowerCase() !== 'false')
    .map(([, action]) => action);
}

/** What a request needs to be allowed; undefined for an operation that is not in the table. */
export function requiredActions(
  operation: string,
  { query, headers }: Pick<S3Request, 'query' | 'headers'>,
): readonly Action[] | undefined {
  const actions: readonly Action[] | undefined = NEEDS[operation as OperationName];
  if (actions === undefined) {
    return undefined;
  }
  if (operation === 'DeleteObject') {
    return [...deleteActions(query.versionId, headers['if-match']), ...byHeaders(headers)];
  }
  const plain = query.versionId === undefined;
  return [
    ...actions.map((action) => (plain ? action : (OF_VERSIONS[action] ?? action))),
    // A write that compares the ETag reads it (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).
    ...(actions.includes('s3:PutObject') && headers['if-match'] !== undefined
      ? (['s3:GetObject'] as const)
      : []),
    ...byHeaders(headers),
  ];
}
