/** A bucket that can be reached, and the keys to it: all that the harness has to know of an S3 server. */
export interface BucketAccess {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}
