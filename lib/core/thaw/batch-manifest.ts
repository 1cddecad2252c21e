/** The manifest of an S3 Batch Operations job: one line for each object, `bucket,key`. */

/**
 * Lines of a CSV manifest. Keys are URL-encoded, as S3 wants them
 * (https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-create-job.html); encoded, none holds a comma or a quote.
 */
export function batchManifest(bucket: string, keys: readonly string[]): string {
  return keys.map((key) => `${bucket},${key.split('/').map(encodeURIComponent).join('/')}\n`).join('');
}
