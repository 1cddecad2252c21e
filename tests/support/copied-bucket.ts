/** A world's bucket, copied to the stand-in for aws, and a host with the recover.sh that lies in it. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { allKeys, readBytes, type World } from '../end-to-end/world.ts';
import { type StandIn, standInAws } from './aws-standin.ts';
import { type BareHost, bareHost } from './recover-sh.ts';

/** Makes both in a directory, which may be missing; `change` is made to the script. */
export async function copiedBucket(
  world: World,
  directory: string,
  scriptKey: string,
  change = (unchanged: string) => unchanged,
): Promise<{ readonly bucket: StandIn; readonly host: BareHost }> {
  await mkdir(directory, { recursive: true });
  const bucket = standInAws(join(directory, 's3'));
  for (const key of await allKeys(world)) bucket.put(key, await readBytes(world, key));
  const script = change(bucket.read(scriptKey).toString());
  return { bucket, host: await bareHost(directory, script, {}, join(bucket.bin, 'aws')) };
}
