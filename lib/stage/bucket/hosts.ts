/** The hosts that keep their backups below one prefix: found by a single listing, since no list of them is kept anywhere. */
import { hostPrefixes, subvolumesRoot } from '../../core/format/names.ts';
import { type ListedObject, listFolders, listObjects } from '../../edge/s3/objects.ts';
import type { Bucket } from '../../edge/s3/s3-client.ts';
import { isDenied } from '../../edge/s3/s3-errors.ts';

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

/** What a message is worth: a bucket may hold more than backups. */
const mostRequests = 30;
const mostFolders = 3;

/**
 * The prefixes under which there seem to be backups, for messages: the bucket's folders that have a folder `subvol`.
 * @returns undefined where these credentials may not look, or not everything was looked at and nothing found.
 * @throws ToolError when the bucket cannot be listed for another reason.
 */
export async function glimpsePrefixes(bucket: Bucket): Promise<readonly string[] | undefined> {
  const found: string[] = [];
  const folders = [''];
  let requests = 0;
  for (let at = folders.shift(); at !== undefined; at = folders.shift()) {
    if (requests++ === mostRequests) return found.length > 0 ? found : undefined;
    let below: readonly string[];
    try {
      below = await listFolders(bucket, at);
    } catch (error) {
      if (isDenied(error)) return undefined;
      throw error;
    }
    if (at !== '' && below.includes('subvol/')) found.push(at.slice(0, -1));
    if (at.split('/').length > mostFolders) continue;
    for (const folder of below) if (folder !== 'subvol/') folders.push(at + folder);
  }
  return found.sort();
}
