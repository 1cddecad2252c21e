/** The newest backup of every name under a prefix: names are chosen by people, and one subvolume may have had several. */
import pMap from 'p-map';
import { ToolError } from '../../core/errors.ts';
import type { Manifest } from '../../core/format/manifest.ts';
import type { Bucket } from '../../edge/s3/s3-client.ts';
import { listEverything, REQUESTS_AT_ONCE, readManifest, readPointer } from './backups.ts';

/**
 * Reads what each name's pointer names: one listing, and two small objects a name. What is damaged or archived is left out.
 * @throws ToolError when the bucket cannot be read.
 */
export async function newestOfEachName(bucket: Bucket): Promise<readonly Manifest[]> {
  const newest = async (name: string): Promise<readonly Manifest[]> => {
    try {
      const read = await readPointer(bucket, name);
      return read ? [await readManifest(bucket, read.pointer.manifest_key)] : [];
    } catch (error) {
      if (error instanceof ToolError && (error.kind === 'damage' || error.kind === 'thaw')) return [];
      throw error;
    }
  };
  const { names } = await listEverything(bucket);
  return (await pMap(names, newest, { concurrency: REQUESTS_AT_ONCE })).flat();
}
