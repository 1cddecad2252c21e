/** What a bucket's listings say of its objects and uploads; all times are the server's. */

/** An object as it is listed. */
export interface ListedObject {
  readonly key: string;
  readonly sizeBytes: number;
  readonly etag: string;
  readonly storageClass: string;
  /** Of a multipart upload: when it was begun (https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html). */
  readonly modifiedAt: Date | undefined;
}

/** A multipart upload that was begun and neither completed nor given up. */
export interface BegunUpload {
  readonly key: string;
  readonly uploadId: string;
  readonly initiatedAt: Date | undefined;
}
