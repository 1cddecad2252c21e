/** Every codec with both protocols: ten kills of the upload each, and then everything that reads backups. */
import { test } from 'node:test';
import { shell } from '../../testing/harness/processes/shell.ts';
import { backUpThroughKills, fill, proveReaders } from '../end-to-end/codec-journey.ts';
import { createWorld } from '../end-to-end/world.ts';
import { makeIdentity } from '../support/age-keys.ts';

for (const codec of ['none', 'zstd', 'age', 'zstd+age']) {
  for (const [protocol, compressed] of [
    [1, 'false'],
    [2, 'true'],
  ] as const) {
    test(`${codec}, protocol ${protocol}: ten kills, resume, verify, restore, CONTINUE=1, extract, drill`, async (t) => {
      const sizes = { CHUNK_SIZE: '20MiB', PART_SIZE: '5MiB', CONCURRENCY: '2', COMPRESSED_SEND: compressed };
      const world = await createWorld(t, sizes);
      await shell`btrfs property set ${world.data} compression zstd`;
      const { identity, recipient } = await makeIdentity(world.directory, 'identity');
      await fill(world.data, 250);
      const settings = {
        COMPRESS: codec.startsWith('zstd') ? 'zstd' : 'none',
        ...(codec.endsWith('age') && { ENCRYPT_TO: recipient, DECRYPT_WITH: identity }),
      };
      await backUpThroughKills(world, settings, 10);
      await proveReaders(t, world, settings, 'mixed');
    });
  }
}
