/** A `btrfs` that sends as much as one likes, from one file again and again, so that no disk has to hold it. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { snapshotName } from '../../lib/core/format/names.ts';
import type { SnapshotFile } from '../../lib/core/format/run-files.ts';
import { MIB } from '../../lib/core/units.ts';
import { writeIncompressible } from './data-sets.ts';

const blockBytes = 64 * MIB;

/** Such streams are multiples of this, in bytes. */
export const streamStepBytes = blockBytes;

/**
 * Puts the stand-in into `directory`, which then has to come first in PATH. It has only `send` and `--version`, and its
 * reads come from the page cache.
 */
export async function makeSender(directory: string, bytes: number): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const block = join(directory, 'block');
  await writeIncompressible(block, blockBytes);
  const script = `#!/bin/bash
case $1 in
  --version) echo 'btrfs-progs v6.6' ;;
  send) for ((sent = 0; sent < ${bytes / blockBytes}; sent++)); do cat -- "\${0%/*}/block" || exit; done ;;
  *) echo "the stand-in for btrfs cannot $1" >&2; exit 1 ;;
esac
`;
  await writeFile(join(directory, 'btrfs'), script, { mode: 0o700 });
}

/** What the tool would have prepared for a snapshot that there is none of. */
export function preparedSnapshot(): SnapshotFile {
  const created = '20260101T000000Z';
  const name = snapshotName('data', created, 'full');
  return {
    subvolume: 'data',
    kind: 'full',
    created_at: created,
    snapshot: {
      name,
      path: `/nowhere/snapshots/${name}`,
      uuid: '3a87e00f-d2f7-b845-9885-000000000001',
      parent_uuid: null,
      received_uuid: null,
      generation: 1,
    },
    parent: null,
    pointer_etag: null,
    started_at: '2026-01-01T00:00:00Z',
  };
}
