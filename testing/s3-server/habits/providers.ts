/**
 * The habits of providers, as public reports and the providers' own pages describe them. They are played: no live provider was tried, and
 * each may have changed since. Where only a rule is known and not a case, the case is inferred from the rule.
 */
import type { Habits, RefusedHeaders } from './habits.ts';

/** Headers of checksums, in both directions. */
const checksums = /^x-amz-(checksum-|sdk-checksum-algorithm$)/;
const conditions = /^if-(none-)?match$/;
const encryption = /^x-amz-server-side-encryption/;
const storageClass = /^x-amz-storage-class$/;

const conditionsRefused: RefusedHeaders = { headers: conditions, writesOnly: true, code: 'NotImplemented' };

/** Cloudflare's sentence: https://github.com/f2face/cloudflare-r2/issues/12, https://github.com/gobackup/gobackup/issues/182 */
const r2Says = (name: string, value: string) => `Header '${name}' with value '${value}' not implemented`;

const noVersions = [
  'GetBucketVersioning',
  'PutBucketVersioning',
  'ListObjectVersions',
  'GetObjectLockConfiguration',
  'PutObjectLockConfiguration',
  'GetObjectRetention',
  'PutObjectRetention',
];

/** By the name that `--provider` takes. */
export const providers = {
  /**
   * Backblaze B2. Checksums: https://github.com/vatesfr/xen-orchestra/issues/8358, https://github.com/iterate-ch/cyberduck/issues/16107;
   * conditions: https://github.com/lance-format/lance/issues/5614; classes: https://github.com/gobackup/gobackup/issues/155. That
   * x-amz-optional-object-attributes is refused is inferred.
   */
  b2: {
    refused: [
      {
        headers: /^x-amz-(checksum-|sdk-checksum-algorithm$|optional-object-attributes$)/,
        code: 'InvalidArgument',
        says: (name) => `Unsupported header '${name}' received for this API call.`,
      },
      conditionsRefused,
      {
        headers: storageClass,
        except: ['STANDARD'],
        code: 'NotImplemented',
        says: (_, value) => `Backblaze only supports the 'STANDARD' storage class, and not ${value}`,
      },
      { headers: /^x-amz-server-side-encryption$/, except: ['AES256'], code: 'NotImplemented' },
    ],
    lacks: ['RestoreObject', 'GetObjectAttributes'],
  },
  /**
   * Cloudflare R2. Headers: https://developers.cloudflare.com/r2/api/s3/api/ and the reports at `r2Says`; parts of one size:
   * https://developers.cloudflare.com/r2/objects/multipart-objects/; ETags of parts: https://github.com/s3fs-fuse/s3fs-fuse/issues/2095
   */
  r2: {
    serverHeader: 'cloudflare',
    refused: [
      { headers: checksums, writesOnly: true, code: 'NotImplemented', says: r2Says },
      { headers: encryption, writesOnly: true, code: 'NotImplemented', says: r2Says },
      {
        headers: storageClass,
        except: ['STANDARD', 'STANDARD_IA'],
        code: 'NotImplemented',
        says: r2Says,
      },
    ],
    ignoresConditionsOfCompletion: true,
    etagOfPartIsNoMd5: true,
    partsOfOneSize: true,
    lacks: [...noVersions, 'RestoreObject', 'GetObjectAttributes'],
  },
  /**
   * MinIO without a KMS. Encryption: https://github.com/minio/minio/issues/6367; uploads: https://github.com/minio/minio/issues/20989;
   * Content-MD5 (releases before 2025): https://github.com/aws/aws-sdk-java-v2/issues/5805
   */
  minio: {
    serverHeader: 'MinIO',
    refused: [
      {
        headers: /^x-amz-server-side-encryption$/,
        writesOnly: true,
        code: 'NotImplemented',
        says: () => 'Server side encryption specified but KMS is not configured',
      },
      { headers: storageClass, except: ['STANDARD', 'REDUCED_REDUNDANCY'], code: 'InvalidStorageClass' },
    ],
    md5Refusal: 'MissingContentMD5',
    listsUploadsByWholeKey: true,
    lacks: ['RestoreObject'],
  },
  /**
   * Alibaba Cloud OSS. Addressing: https://github.com/peak/s5cmd/issues/518; checksums and Content-MD5:
   * https://github.com/milvus-io/milvus-storage/pull/500. That conditions are ignored is inferred: OSS has a header of its own for them.
   */
  oss: {
    serverHeader: 'AliyunOSS',
    pathStyleRefusal: 'SecondLevelDomainForbidden',
    ignored: /^(if-(none-)?match$|x-amz-(checksum-|sdk-checksum-algorithm$|trailer$))/,
    md5Refusal: 'MissingArgument',
    lacks: ['RestoreObject', 'GetObjectAttributes', ...noVersions],
  },
  /**
   * Tencent Cloud COS, buckets made since 2024. Addressing: https://github.com/gobackup/gobackup/issues/233; Content-MD5:
   * https://github.com/Aiven-Open/tiered-storage-for-apache-kafka/issues/694. The rest as OSS.
   */
  cos: {
    serverHeader: 'tencent-cos',
    pathStyleRefusal: 'PathStyleDomainForbidden',
    ignored: /^(if-(none-)?match$|x-amz-(checksum-|sdk-checksum-algorithm$|trailer$))/,
    md5Refusal: 'MissingContentMD5',
    lacks: ['RestoreObject', 'GetObjectAttributes', ...noVersions],
  },
  /**
   * Garage: no encryption, no versions, most x-amz headers without effect
   * (https://garagehq.deuxfleurs.fr/reference_manual/s3_compatibility.html). That conditions of writes are among them is inferred.
   */
  garage: {
    ignored: /^(if-(none-)?match$|x-amz-(server-side-encryption|storage-class$))/,
    lacks: [...noVersions, 'RestoreObject', 'GetObjectAttributes'],
  },
  /** The gateway of Ceph 16, as the contract tests found it (testing/harness/ceph/lacks.ts), apart from its refusal of quoted ETags. */
  ceph: {
    ignored: /^x-amz-(checksum-|sdk-checksum-algorithm$|trailer$)/,
    ignoresConditionsOfCompletion: true,
    etagOfCompletion: 'none',
    lacks: ['RestoreObject', 'GetObjectAttributes'],
  },
  /** Riak CS: the ETag of the completion is another one, https://github.com/basho/riak_cs/issues/855. It is older than checksums and conditions. */
  riak: {
    serverHeader: 'Riak CS',
    ignored:
      /^(if-(none-)?match$|x-amz-(checksum-|sdk-checksum-algorithm$|trailer$|server-side-encryption|storage-class$))/,
    etagOfCompletion: 'other',
    lacks: [...noVersions, 'RestoreObject', 'GetObjectAttributes', 'GetBucketLifecycleConfiguration'],
  },
  /** SeaweedFS: ETags of objects of several parts that are not as S3 makes them, https://github.com/seaweedfs/seaweedfs/issues/9768 */
  seaweedfs: {
    serverHeader: 'SeaweedFS',
    ignored: /^x-amz-(checksum-|sdk-checksum-algorithm$|trailer$)/,
    etagOfCompletion: 'other',
    otherEtagOfHead: true,
    lacks: ['RestoreObject'],
  },
  /** Dell ECS: https://github.com/EMCECS/ECS-CommunityEdition/issues/583, https://github.com/aws/aws-sdk-js-v3/issues/6920 */
  ecs: { serverHeader: 'ViPR/1.0', md5Refusal: 'MissingContentMD5' },
  /**
   * A store whose writes are seen some seconds later: https://github.com/nextcloud/server/issues/25946,
   * https://github.com/irods/irods_resource_plugin_s3/issues/1931
   */
  late: { seenAfterMs: 5000, ignored: /^x-amz-(checksum-|sdk-checksum-algorithm$|trailer$)/ },
  /** Any server behind nginx with the default client_max_body_size of 1 MiB: https://github.com/minio/minio/issues/6255 */
  nginx: { serverHeader: 'nginx/1.22.1', bodyLimitBytes: 1024 * 1024 },
  /** A bucket whose lifecycle rule gives uploads less time than a chunk takes: https://github.com/aws/aws-cdk/issues/29089 */
  expiring: { uploadEndsAtPart: 4 },
} as const satisfies Record<string, Habits>;

/** A provider whose habits can be played. */
export type ProviderName = keyof typeof providers;

/** All of them, in the order of the table. */
export const providerNames = Object.keys(providers) as readonly ProviderName[];
