/** What people do to the live subvolume as a whole. */
import { mkdir, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { btrfs, isReadOnly, sendAndReceive, setReadOnly, shown, subvolumesIn } from './commands.ts';
import { chance, choose } from './edit.ts';
import { editRandomly } from './edit-steps.ts';
import type { HistoryWorld } from './history-world.ts';
import type { Action, Steps } from './step.ts';

/** Where the snapshots of the live subvolume's own filesystem are. */
const ownSnapshots = ({ mode, snapshots, sent }: HistoryWorld) => (mode === 'received' ? sent : snapshots);

/** Moves the live subvolume away; whatever it is replaced by comes to its path. */
async function moveAway(world: HistoryWorld): Promise<void> {
  if (await isReadOnly(world.live)) await setReadOnly(world.live, false);
  await rename(world.live, join(dirname(world.live), `old-${++world.counters.names}`));
}

/** A directory for what is received. */
async function freshDirectory(world: HistoryWorld): Promise<string> {
  const path = join(dirname(world.live), `in-${++world.counters.names}`);
  await mkdir(path);
  return path;
}

const rollBack: Action = async (world, random) => {
  const snapshot = choose(random, await subvolumesIn(ownSnapshots(world)));
  if (snapshot === undefined) return undefined;
  await moveAway(world);
  await btrfs('subvolume', 'snapshot', snapshot, world.live);
  return `roll live back to ${basename(snapshot)}: mv it away, and take a snapshot`;
};

/** A rollback as some do it: the snapshot itself, made writable, becomes the live subvolume. */
const rollBackInPlace: Action = async (world, random) => {
  const snapshot = choose(random, await subvolumesIn(ownSnapshots(world)));
  if (snapshot === undefined) return undefined;
  await moveAway(world);
  await setReadOnly(snapshot, false);
  await rename(snapshot, world.live);
  return `make ${basename(snapshot)} writable, and mv it to live`;
};

const recreate: Action = async (world) => {
  await moveAway(world);
  await btrfs('subvolume', 'create', world.live);
  return 'mv live away, and make an empty one';
};

/** A copy of what is live, or of a snapshot of it. */
const copyLive: Action = async (world) => {
  const old = join(dirname(world.live), `old-${world.counters.names + 1}`);
  await moveAway(world);
  await btrfs('subvolume', 'snapshot', old, world.live);
  return 'mv live away, and make a snapshot of it live';
};

/** Puts a received subvolume in the place of the live one. */
async function replaceByReceived(
  world: HistoryWorld,
  snapshot: string,
  keepReceivedUuid: boolean,
): Promise<void> {
  const into = await freshDirectory(world);
  await sendAndReceive(snapshot, into);
  const received = join(into, basename(snapshot));
  const uuid = await shown(received, 'Received UUID');
  const transid = Number(await shown(received, 'Send transid'));
  await setReadOnly(received, false);
  await moveAway(world);
  await rename(received, world.live);
  if (keepReceivedUuid) await world.ground.hands.do('set_received', world.live, { uuid, transid });
}

const receivedHere: Action = async (world, random) => {
  const snapshots = await subvolumesIn(ownSnapshots(world));
  const snapshot = choose(random, snapshots);
  if (snapshot === undefined || !(await isReadOnly(snapshot))) return undefined;
  await replaceByReceived(world, snapshot, false);
  return `replace live by a received copy of ${basename(snapshot)}, made writable`;
};

const receivedWithUuid: Action = async (world, random) => {
  const snapshots = await subvolumesIn(ownSnapshots(world));
  const snapshot = choose(random, snapshots);
  if (snapshot === undefined || !(await isReadOnly(snapshot))) return undefined;
  await replaceByReceived(world, snapshot, true);
  return `replace live by a received copy of ${basename(snapshot)}, made writable with received_uuid still set`;
};

/** What another host has: a subvolume of its own, with some files, as a read-only snapshot. */
async function foreignSnapshot(world: HistoryWorld, random: Parameters<Action>[1]): Promise<string> {
  const number = ++world.counters.names;
  const foreign = join(world.ground.elsewhere, `foreign-${number}`);
  await btrfs('subvolume', 'create', foreign);
  for (let left = 2 + random.below(6); left > 0; left -= 1) await editRandomly(world, random, foreign);
  const snapshot = `${foreign}-snapshot`;
  await btrfs('subvolume', 'snapshot', '-r', foreign, snapshot);
  return snapshot;
}

const receivedFromElsewhere: Action = async (world, random) => {
  await replaceByReceived(world, await foreignSnapshot(world, random), false);
  return 'replace live by a subvolume that was received from another host, made writable';
};

const foreignWithUuid: Action = async (world, random) => {
  await replaceByReceived(world, await foreignSnapshot(world, random), true);
  return 'replace live by a subvolume from another host, made writable with received_uuid still set';
};

/** Live gets the received_uuid of something that was never here, as after years of moving about. */
const markLiveReceived: Action = async (world, random) => {
  const uuid = random.bytes(16).toString('hex');
  await world.ground.hands.do('set_received', world.live, { uuid, transid: random.below(1000) });
  return `set received_uuid of live to ${uuid}`;
};

const toggleLive: Action = async (world) => {
  const wasReadOnly = await isReadOnly(world.live);
  await setReadOnly(world.live, !wasReadOnly);
  return `btrfs property set live ro ${!wasReadOnly}`;
};

const nest: Action = async (world, random) => {
  const { hands } = world.ground;
  const directories = (await hands.list(world.live)).filter(
    ({ type, path }) => type === 'd' && path.length < 500 && /^[ -~]*$/.test(path),
  );
  const within = chance(random, 50) ? choose(random, directories)?.path : undefined;
  const path = join(world.live, within ?? '.', `nested-${++world.counters.names}`);
  await btrfs('subvolume', 'create', path);
  await hands.do('write', path, { path: 'inside', seed: 'nested', length: 1000 });
  return `btrfs subvolume create ${path.slice(dirname(world.live).length + 1)}`;
};

const removeNested: Action = async (world) => {
  const [nested] = await subvolumesIn(world.live);
  if (nested === undefined) return undefined;
  await btrfs('subvolume', 'delete', nested);
  return `btrfs subvolume delete live/${basename(nested)}`;
};

/** The steps, by name. */
export const liveSteps = {
  'roll-back': { action: rollBack, weight: 4 },
  'roll-back-in-place': { action: rollBackInPlace, weight: 2 },
  'recreate-live': { action: recreate, weight: 1 },
  'copy-live': { action: copyLive, weight: 1 },
  'live-received-here': { action: receivedHere, weight: 2 },
  'live-received-with-uuid': { action: receivedWithUuid, weight: 2 },
  'live-from-elsewhere': { action: receivedFromElsewhere, weight: 1 },
  'live-from-elsewhere-with-uuid': { action: foreignWithUuid, weight: 1 },
  'mark-live-received': { action: markLiveReceived, weight: 1 },
  'toggle-live': { action: toggleLive, weight: 1 },
  nest: { action: nest, weight: 3 },
  'remove-nested': { action: removeNested, weight: 2 },
} as const satisfies Steps;
