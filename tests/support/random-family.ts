/** A random family of subvolumes on one filesystem: copies of copies, written to at the same time, received, rolled back, deleted. */
import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { deterministicRandom } from '../../testing/harness/deterministic-random.ts';
import type { LoopFilesystem } from '../../testing/harness/loop-filesystem.ts';
import { btrfs, run, sendAndReceive, setReadOnly } from './history/commands.ts';
import { choose, type Edit } from './history/edit.ts';
import { contentEdits } from './history/edit-content.ts';
import { metadataEdits } from './history/edit-metadata.ts';
import { nameEdits } from './history/edit-names.ts';
import { type Hands, Refused } from './history/hands.ts';
import { unmount } from './unmount-everywhere.ts';

/** Without what btrfs receive alone gets wrong on any parent; other tests have that. */
const {
  'very-long-path': _,
  'inherit-acl': __,
  'inherit-compression': ___,
  ...edits
} = { ...contentEdits, ...nameEdits, ...metadataEdits };

/** A family as it has become. */
export interface Family {
  /** Paths of its read-only members. */
  readonly readOnly: readonly string[];
  /** What was done, in words. */
  readonly done: readonly string[];
}

/** Makes a family on an empty filesystem; the same for the same label, but for times. */
export async function makeFamily(
  { mountPoint: mount, imagePath }: LoopFilesystem,
  hands: Hands,
  label: string,
): Promise<Family> {
  const random = deterministicRandom(label);
  const done: string[] = [];
  const [writable, readOnly]: [string[], string[]] = [[], []];
  let count = 0;
  const fresh = () => join(mount, `s${count++}`);
  const any = (from: readonly string[]) => choose(random, from);

  const write = async (root: string | undefined) => {
    for (let left = root === undefined ? 0 : 1 + random.below(6); left > 0 && root !== undefined; left--) {
      const place = { hands, random, root, entries: await hands.list(root), snapshots: [] };
      const edit = choose<Edit>(random, Object.values(edits));
      const what = await edit?.(place).catch((error: unknown) => {
        if (!(error instanceof Refused)) throw error;
        return undefined;
      });
      if (what) done.push(`${basename(root)}: ${what}`);
    }
  };
  /** New entries in all branches at the same time: their inodes have the same numbers and generations, and may be of other kinds. */
  const twins = async () => {
    for (const root of writable) {
      for (let left = 1 + random.below(3); left > 0; left--) await makeOne(root, `t${count++}`);
    }
    done.push(`twins in ${writable.map((path) => basename(path)).join(' ')}`);
  };
  const makeOne = async (root: string, path: string) => {
    const kind = random.below(4);
    if (kind === 0) await hands.do('write', root, { path, seed: path, length: 100 });
    else if (kind === 1) await hands.do('mkdir', root, { path });
    else if (kind === 2) await hands.do('symlink', root, { path, target: path });
    else await hands.do('mknod', root, { path, kind: 'character', major: 1, minor: count });
  };
  const copy = async (kind: 'read-only' | 'writable', of: string | undefined) => {
    if (of === undefined) return;
    const path = fresh();
    await btrfs('subvolume', 'snapshot', ...(kind === 'read-only' ? ['-r'] : []), of, path);
    (kind === 'read-only' ? readOnly : writable).push(path);
    done.push(`${kind} ${basename(path)} of ${basename(of)}`);
  };
  const remove = async (from: string[]) => {
    if (from.length < 3) return;
    const path = random.take(from);
    await btrfs('subvolume', 'delete', path);
    done.push(`delete ${basename(path)}`);
  };
  /** As on a host that keeps copies of another's snapshots. */
  const receive = async (of: string | undefined, on: string | undefined) => {
    if (of === undefined) return;
    const into = fresh();
    await mkdir(into);
    const isOn = on !== undefined && on !== of;
    const isReceived = await sendAndReceive(of, into, isOn ? on : undefined).then(
      () => true,
      (error: unknown) => !(error instanceof Refused),
    );
    if (isReceived) readOnly.push(join(into, basename(of)));
    done.push(`receive ${basename(of)}${isOn ? ` on ${basename(on)}` : ''}: ${isReceived}`);
  };
  const editInPlace = async (path: string | undefined) => {
    if (path === undefined) return;
    await setReadOnly(path, false);
    await write(path);
    await setReadOnly(path, true);
  };
  /** Numbers of what was made last and removed are given again after that. */
  const remount = async () => {
    await unmount(mount);
    await run('mount', '-o', 'loop', imagePath, mount);
    done.push('remount');
  };

  const steps = [
    () => write(any(writable)),
    () => write(any(writable)),
    twins,
    () => copy('read-only', any(writable)),
    () => copy('read-only', writable.at(-1)),
    () => copy('writable', any(writable)),
    () => copy('writable', any(readOnly)),
    () => remove(writable),
    () => remove(readOnly),
    () => receive(any(readOnly), any(readOnly)),
    () => editInPlace(any(readOnly)),
    remount,
  ];
  await btrfs('subvolume', 'create', join(mount, 'first'));
  writable.push(join(mount, 'first'));
  for (let times = 0; times < 4; times++) await write(writable[0]);
  for (let step = 0; step < 45; step++) await choose(random, steps)?.();
  return { readOnly, done };
}
