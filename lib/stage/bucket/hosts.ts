/** The hosts that keep their backups below one prefix: found by a single listing, since no list of them is kept anywhere. */
import { hostPrefixes, subvolumesRoot } from '../../core/format/names.ts';
import { type ListedObject, listObjects } from '../../edge/s3/objects.ts';
import type { Bucket } from '../../edge/s3/s3-client.ts';

/** The bucket as one host has it in its settings, and what is listed there. */
export interface Host {
  readonly bucket: Bucket;
  readonly listed: readonly ListedObject[];
}

/**
 * Finds all hosts, in the order of their prefixes.
 * @param prefix what their prefixes have in common, up to a `/`; empty for the whole bucket.
 * @throws ToolError when the bucket cannot be listed.
 */
export async function findHosts(bucket: Bucket, prefix: string): Promise<readonly Host[]> {
  const listed = await listObjects(bucket, prefix === '' ? '' : `${prefix}/`);
  const hosts = hostPrefixes(
    prefix,
    listed.map(({ key }) => key),
  );
  return hosts.map((host) => ({
    bucket: { ...bucket, prefix: host },
    listed: listed.filter(({ key }) => key.startsWith(subvolumesRoot(host))),
  }));
}
