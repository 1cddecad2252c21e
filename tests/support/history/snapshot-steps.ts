/** What people do to snapshots, of ours and of theirs. */
import { mkdir, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { btrfs, isReadOnly, sendAndReceive, setReadOnly, shown, subvolumesIn } from './commands.ts';
import { chance, choose } from './edit.ts';
import { editRandomly } from './edit-steps.ts';
import { type HistoryWorld, readPlanned } from './history-world.ts';
import type { Action, Steps } from './step.ts';

type Random = Parameters<Action>[1];

/** Takes a snapshot as another program would: where others' are adopted, where they are looked for. */
const takeSnapshot: Action = async (world, random) => {
  const name = `manual-${String(++world.counters.names).padStart(3, '0')}`;
  if (world.mode === 'received') return takeAndSend(world, random, name);
  await btrfs('subvolume', 'snapshot', '-r', world.live, join(world.snapshots, name));
  return `btrfs subvolume snapshot -r live snapshots/${name}`;
};

/** What btrbk does: a snapshot there, sent here on one that both have. */
async function takeAndSend(world: HistoryWorld, random: Random, name: string): Promise<string> {
  const snapshot = join(world.sent, name);
  await btrfs('subvolume', 'snapshot', '-r', world.live, snapshot);
  const here = new Set((await subvolumesIn(world.snapshots)).map((path) => basename(path)));
  const both = (await subvolumesIn(world.sent)).filter((path) => here.has(basename(path)));
  const parent = chance(random, 80) ? both.at(-1) : undefined;
  await sendAndReceive(snapshot, world.snapshots, parent);
  const on = parent ? ` on ${basename(parent)}` : '';
  return `elsewhere: btrfs subvolume snapshot -r live sent/${name}; send it${on}, receive it in snapshots`;
}

/** The parent of what is planned, the newest, or any. */
async function chooseSnapshot(world: HistoryWorld, random: Random): Promise<string | undefined> {
  const all = await subvolumesIn(world.snapshots);
  const planned = await readPlanned(world);
  const special = [planned?.path, planned?.parentPath, all.at(-1)].filter((path) => path !== undefined);
  const path = chance(random, 60) ? choose(random, special) : choose(random, all);
  return path !== undefined && all.includes(path) ? path : choose(random, all);
}

const named = (path: string) => `snapshots/${basename(path)}`;

/** Makes a snapshot writable, edits it, and makes it read-only again. */
const editSnapshot: Action = async (world, random) => {
  const path = await chooseSnapshot(world, random);
  if (path === undefined) return undefined;
  await setReadOnly(path, false);
  const edits: string[] = [];
  for (let left = 1 + random.below(3); left > 0; left -= 1) {
    edits.push(await editRandomly(world, random, path));
  }
  await setReadOnly(path, true);
  return `btrfs property set -f ${named(path)} ro false; ${edits.join('; ')}; ro true`;
};

/** Makes a snapshot writable and read-only again, and leaves it as it is. */
const toggleSnapshot: Action = async (world, random) => {
  const path = await chooseSnapshot(world, random);
  if (path === undefined) return undefined;
  await setReadOnly(path, false);
  await setReadOnly(path, true);
  return `btrfs property set -f ${named(path)} ro false, and ro true`;
};

/** Makes a snapshot writable for good, or one that is so read-only. */
const releaseSnapshot: Action = async (world, random) => {
  const path = await chooseSnapshot(world, random);
  if (path === undefined) return undefined;
  const wasReadOnly = await isReadOnly(path);
  await setReadOnly(path, !wasReadOnly);
  return `btrfs property set -f ${named(path)} ro ${!wasReadOnly}`;
};

const deleteSnapshot: Action = async (world, random) => {
  const path = await chooseSnapshot(world, random);
  if (path === undefined) return undefined;
  await btrfs('subvolume', 'delete', path);
  return `btrfs subvolume delete ${named(path)}`;
};

const renameSnapshot: Action = async (world, random) => {
  const path = await chooseSnapshot(world, random);
  if (path === undefined) return undefined;
  const name = `renamed-${++world.counters.names}`;
  await rename(path, join(world.snapshots, name));
  return `mv ${named(path)} snapshots/${name}`;
};

/** Out of the directory, which a read-only subvolume refuses; with luck back later under another name. */
const moveSnapshot: Action = async (world, random) => {
  const attic = join(world.mount, 'attic');
  await mkdir(attic, { recursive: true });
  const [back] = await subvolumesIn(attic);
  if (back !== undefined && chance(random, 50)) {
    await setReadOnly(back, false);
    const target = join(world.snapshots, basename(back));
    await rename(back, target);
    await setReadOnly(target, true);
    return `ro false, mv attic/${basename(back)} to snapshots, ro true`;
  }
  const path = await chooseSnapshot(world, random);
  if (path === undefined) return undefined;
  await setReadOnly(path, false);
  await rename(path, join(attic, basename(path)));
  await setReadOnly(join(attic, basename(path)), true);
  return `ro false, mv ${named(path)} to attic, ro true`;
};

const swapSnapshots: Action = async (world, random) => {
  const [one, other] = [await chooseSnapshot(world, random), await chooseSnapshot(world, random)];
  if (one === undefined || other === undefined || one === other) return undefined;
  await rename(one, `${one}.tmp`);
  await rename(other, one);
  await rename(`${one}.tmp`, other);
  return `swap the names of ${named(one)} and ${named(other)}`;
};

/** Puts a snapshot of a snapshot in its place: the same content, another UUID. */
const copySnapshot: Action = async (world, random) => {
  const path = await chooseSnapshot(world, random);
  if (path === undefined) return undefined;
  const replace = chance(random, 50);
  const copy = join(world.snapshots, `copy-${++world.counters.names}`);
  await btrfs('subvolume', 'snapshot', '-r', path, copy);
  if (!replace) return `btrfs subvolume snapshot -r ${named(path)} ${named(copy)}`;
  await btrfs('subvolume', 'delete', path);
  await rename(copy, path);
  return `replace ${named(path)} by a snapshot of it`;
};

/** Brings a snapshot back from a copy that was sent away: the content is the same, and received_uuid its old UUID. */
const bringBack: Action = async (world, random) => {
  const path = await chooseSnapshot(world, random);
  if (path === undefined || !(await isReadOnly(path))) return undefined;
  const away = join(world.mount, `away-${++world.counters.names}`);
  await mkdir(away);
  await sendAndReceive(path, away);
  const copy = join(away, basename(path));
  if (chance(random, 70)) {
    await btrfs('subvolume', 'delete', path);
    await sendAndReceive(copy, world.snapshots);
    return `send ${named(path)} away, delete it, and receive it back`;
  }
  const other = join(away, `back-${world.counters.names}`);
  await rename(copy, other);
  await sendAndReceive(other, world.snapshots);
  return `send ${named(path)} away, and receive it back as ${basename(other)}`;
};

/** Marks a snapshot as received from another one, which btrfs-progs did to writable subvolumes until 5.14.2. */
const markReceived: Action = async (world, random) => {
  const path = await chooseSnapshot(world, random);
  const other = await chooseSnapshot(world, random);
  if (path === undefined || other === undefined) return undefined;
  const uuid = await shown(other, 'UUID');
  const transid = Number(await shown(other, 'Generation'));
  await setReadOnly(path, false);
  await world.ground.hands.do('set_received', path, { uuid, transid });
  await setReadOnly(path, true);
  return `set received_uuid of ${named(path)} to the UUID of ${named(other)}`;
};

/** The steps, by name. */
export const snapshotSteps = {
  'take-snapshot': { action: takeSnapshot, weight: 4 },
  'edit-snapshot': { action: editSnapshot, weight: 3 },
  'toggle-snapshot': { action: toggleSnapshot, weight: 2 },
  'release-snapshot': { action: releaseSnapshot, weight: 2 },
  'delete-snapshot': { action: deleteSnapshot, weight: 2 },
  'rename-snapshot': { action: renameSnapshot, weight: 2 },
  'move-snapshot': { action: moveSnapshot, weight: 2 },
  'swap-snapshots': { action: swapSnapshots, weight: 2 },
  'copy-snapshot': { action: copySnapshot, weight: 2 },
  'bring-back-snapshot': { action: bringBack, weight: 2 },
  'mark-snapshot-received': { action: markReceived, weight: 1 },
} as const satisfies Steps;
