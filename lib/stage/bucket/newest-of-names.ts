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
    const read = await readPointer(bucket, name);
    return read ? [await readManifest(bucket, read.pointer.manifest_key)] : [];
  };
  const { names } = await listEverything(bucket);
  return readAll(names, newest);
}

/**
 * Reads of every other name the backups beside a time: the last before it, and the first after it, as those of one run are seconds apart.
 * @throws ToolError when the bucket cannot be read.
 */
export async function backupsOfTheTime(
  bucket: Bucket,
  { subvolume, created_at: at }: Manifest,
): Promise<readonly Manifest[]> {
  const { names, keys } = await listEverything(bucket);
  const beside = names.flatMap((name) => {
    if (name === subvolume) return [];
    const own = keys.filter((key) => key.subvolume === name);
    const before = own.findLastIndex(({ timestamp }) => timestamp <= at);
    return own.slice(Math.max(0, before), before + 2).map(({ key }) => key);
  });
  return readAll(beside, async (key) => [await readManifest(bucket, key)]);
}

/** Reads several at once, without those that are damaged or archived. */
async function readAll(
  names: readonly string[],
  read: (name: string) => Promise<readonly Manifest[]>,
): Promise<readonly Manifest[]> {
  const leniently = async (name: string): Promise<readonly Manifest[]> => {
    try {
      return await read(name);
    } catch (error) {
      if (error instanceof ToolError && (error.kind === 'damage' || error.kind === 'thaw')) return [];
      throw error;
    }
  };
  return (await pMap(names, leniently, { concurrency: REQUESTS_AT_ONCE })).flat();
}
