/** Small worlds, what people do to subvolumes and snapshots in them, and the proof that a backup is restored to the bit. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ToolError } from '../../lib/core/errors.ts';
import { parseTimestamp } from '../../lib/core/format/names.ts';
import { showSubvolume } from '../../lib/edge/btrfs/btrfs.ts';
import { shell } from '../../testing/harness/processes/shell.ts';
import { treeDigest } from '../../testing/harness/tree-digest.ts';
import { hostIn } from './within-process.ts';
import { createWorld, type ServerOptions, type World } from './world.ts';
/** A world of 512 MiB. */
export const smallWorld = (t: TestContext, server: ServerOptions = {}) =>
  createWorld(t, {}, 512 * 2 ** 20, server);

/** Writes files into the world's subvolume. */
export async function write(world: World, ...names: readonly string[]): Promise<void> {
  for (const name of names) await writeFile(join(world.data, name), `${name}\n`.repeat(3000));
}

/**
 * Waits until a snapshot that is made now is so many seconds younger than a backup, and not older: those of one second are published under
 * later times.
 */
export async function clockReaches(createdAt: string, seconds = 0): Promise<void> {
  const at = parseTimestamp(createdAt) ?? assert.fail(createdAt);
  // The kernel's clock for files may be a few milliseconds behind.
  await sleep(Math.max(0, at.getTime() + seconds * 1000 + 20 - Date.now()));
}

/** Changes a snapshot in place, as people do to free space. */
export async function edit(path: string, change: () => Promise<unknown>): Promise<void> {
  await shell`btrfs property set -ts ${path} ro false`;
  await change();
  await shell`btrfs property set -ts ${path} ro true`;
}

/** Restores a backup, and proves that it is a tree, to the bit. */
export async function proveIs(world: World, tree: unknown, manifest?: string): Promise<void> {
  const host = await hostIn(world);
  const target = join(world.mount, 'restored');
  await host.restore(target, { manifest });
  assert.deepEqual(await treeDigest(target), tree);
  await shell`btrfs subvolume delete ${target}`;
}

/** Lets two files of one content share its first 4 KiB, as deduplication does: root may, in read-only snapshots as well. FIDEDUPERANGE. */
export async function dedupe(source: string, path: string): Promise<void> {
  const program = [
    'import fcntl, os, struct, sys',
    'source, file = (os.open(path, os.O_RDONLY) for path in sys.argv[1:])',
    "request = bytearray(struct.pack('QQHHIqQQiI', 0, 4096, 1, 0, 0, file, 0, 0, 0, 0))",
    'fcntl.ioctl(source, 0xc0189436, request)',
    "sys.exit(struct.unpack('QQHHIqQQiI', request)[7] != 4096)",
  ].join('\n');
  await shell`python3 -c ${program} ${source} ${path}`;
}

/** Gives a writable subvolume a received UUID, as btrfs-progs before 5.14.2 left them: BTRFS_IOC_SET_RECEIVED_SUBVOL. */
export async function markReceived(
  path: string,
  uuid = '5e3c1111-2222-4333-8444-555566667777',
): Promise<string> {
  const program = [
    'import fcntl, os, struct, sys, uuid',
    'file = os.open(sys.argv[1], os.O_RDONLY)',
    "fcntl.ioctl(file, 0xc0c89425, struct.pack('<16sQQQIIQI', uuid.UUID(sys.argv[2]).bytes, 7, 0, 0, 0, 0, 0, 0).ljust(200, b'\\0'))",
  ].join('\n');
  await shell`python3 -c ${program} ${path} ${uuid}`;
  assert.equal((await showSubvolume(path)).receivedUuid, uuid);
  return uuid;
}

/** The ToolError that an attempt ends with. */
export async function refusal(attempt: Promise<unknown>): Promise<ToolError> {
  const error = await attempt.then(
    () => assert.fail('it succeeded'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ToolError, String(error));
  return error;
}
