/** An image that is rewritten from day to day: the streams of its chain are many times what is alive at any moment. */

import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from './within-process.ts';
import type { World } from './world.ts';

const pieceBytes = 2 ** 20;

/** Backs up an image of random bytes, rewrites all of it, and backs it up again, so many times. @returns bytes of all streams */
export async function backUpRewrittenImage(
  world: World,
  host: Host,
  bytes: number,
  rewrites: number,
): Promise<number> {
  let total = 0;
  for (let round = 0; round <= rewrites; round++) {
    const image = await open(join(world.data, 'image'), round === 0 ? 'w' : 'r+');
    for (let at = 0; at < bytes; at += pieceBytes)
      await image.write(randomBytes(pieceBytes), 0, pieceBytes, at);
    await image.close();
    total += (await host.backUp()).manifest.total_bytes;
  }
  return total;
}
