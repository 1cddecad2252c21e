/** A `btrfs` that sends as much as one likes, from one file again and again, so that no disk has to hold it. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { snapshotName } from '../../lib/core/format/names.ts';
import type { SnapshotFile } from '../../lib/core/format/run-files.ts';
import { KIB, MIB } from '../../lib/core/units.ts';
import { showSubvolume } from '../../lib/edge/btrfs/btrfs.ts';
import { deterministicRandom } from '../harness/deterministic-random.ts';
import { shell } from '../harness/processes/shell.ts';
import { end, firstCommand, header, write } from '../harness/send-streams.ts';

const blockBytes = 64 * MIB;

/** Such streams are multiples of this, in bytes. */
export const streamStepBytes = blockBytes;

const created = '20260101T000000Z';
const name = snapshotName('data', created, 'full');

/**
 * Puts the stand-in into `directory`, which then has to come first in PATH. Its `send` reads from the page cache;
 * every other command is that of the system.
 */
export async function makeSender(
  directory: string,
  { snapshot }: SnapshotFile,
  bytes: number,
): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const start = [header(), firstCommand(snapshot.name, snapshot.uuid, snapshot.generation ?? 0)];
  const startBytes = start.reduce((sum, { length }) => sum + length, 0);
  await writeFile(join(directory, 'start'), [...start, ...writesOf(blockBytes - startBytes - end.length)]);
  await writeFile(join(directory, 'block'), [...writesOf(blockBytes)]);
  await writeFile(join(directory, 'end'), end);
  const script = `#!/bin/bash
case $1 in
  send)
    cd -- "\${0%/*}"
    cat start && for ((sent = 1; sent < ${bytes / blockBytes}; sent++)); do cat block || exit; done && cat end
    ;;
  *) PATH=\${PATH#*:} exec btrfs "$@" ;;
esac
`;
  await writeFile(join(directory, 'btrfs'), script, { mode: 0o700 });
}

/** Commands that write random bytes into a file, of so many bytes in all. */
function* writesOf(bytes: number): Generator<Uint8Array> {
  const random = deterministicRandom('synthetic stream');
  const overhead = write('file', new Uint8Array()).length;
  const most = 48 * KIB;
  for (let left = bytes; left > 0; ) {
    // What is left for the last one must have room for a command.
    const length = left <= most ? left : Math.min(most, left - overhead);
    yield write('file', random.bytes(length - overhead));
    left -= length;
  }
}

/** An empty snapshot in a directory of a Btrfs filesystem, prepared as for a first backup. */
export async function prepareSnapshot(directory: string): Promise<SnapshotFile> {
  const path = join(directory, name);
  await shell`btrfs subvolume create ${path}`;
  await shell`btrfs property set -t subvol ${path} ro true`;
  const { uuid, generation } = await showSubvolume(path);
  return {
    subvolume: 'data',
    kind: 'full',
    created_at: created,
    snapshot: { name, path, uuid, parent_uuid: null, received_uuid: null, generation },
    parent: null,
    pointer_etag: null,
    started_at: '2026-01-01T00:00:00Z',
  };
}
