/**
 * Random damage to a chain of backups, one at a time: `verify --deep` finds each, a restore refuses each and leaves nothing.
 * `MUTATIONS=200` does more of it than the default. The bucket keeps versions, which is how damage is undone.
 *
 * What is not tried is another manifest in good order, written by one who may write: nothing distinguishes it from the true one.
 */
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { DeleteObjectCommand, PutBucketVersioningCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { exitCodeOf, ToolError } from '../../lib/core/errors.ts';
import { verifyBackups } from '../../lib/stage/bucket/verify.ts';
import type { StageContext } from '../../lib/stage/context.ts';
import { restoreBackup } from '../../lib/stage/restore/restore.ts';
import type { DeterministicRandom } from '../../testing/harness/deterministic-random.ts';
import {
  allKeys,
  createWorld,
  namesIn,
  pointerKey,
  readBytes,
  secret,
  type World,
} from '../end-to-end/world.ts';
import { openTestBucket } from '../support/bucket.ts';
import { stageContext } from '../support/stage-context.ts';
import { numberOf, seededRandom } from './sweep.ts';

const mib = 2 ** 20;
const mutationsOfATest = 40;
const Bucket = 'backups';

/** Damage that was done; `isInside` when it changed bytes alone, which sizes, ETags and checksums do not tell. */
interface Damage {
  readonly what: string;
  readonly isInside: boolean;
  readonly undo: () => Promise<unknown>;
}

/** The bucket, and the files behind it. */
interface Target {
  readonly world: World;
  readonly random: DeterministicRandom;
  readonly keys: readonly string[];
  readonly chunks: readonly string[];
  /** Files of the server that hold what a backup consists of, by size. */
  readonly files: ReadonlyMap<number, readonly string[]>;
}

type Mutation = (target: Target) => Promise<Damage>;

function pick<Item>(random: DeterministicRandom, items: readonly Item[]): Item {
  return items[random.below(items.length)] ?? assert.fail('nothing to choose from');
}

/** Two different ones. */
function pickTwo<Item>(random: DeterministicRandom, items: readonly Item[]): readonly [Item, Item] {
  const left = [...items];
  return [random.take(left), random.take(left)];
}

function flipBit(bytes: Buffer, random: DeterministicRandom): Buffer {
  const flipped = Buffer.from(bytes);
  const at = random.below(flipped.length);
  flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << random.below(8)), at);
  return flipped;
}

/** Writes a new version; the undo removes it. */
async function putOver({ world }: Target, Key: string, body: Buffer): Promise<() => Promise<unknown>> {
  const { VersionId } = await world.client.send(new PutObjectCommand({ Bucket, Key, Body: body }));
  return () => world.client.send(new DeleteObjectCommand({ Bucket, Key, VersionId }));
}

/** Writes other bytes into the server's own files, behind its back. */
async function overwrite(contents: ReadonlyMap<string, Buffer>): Promise<() => Promise<unknown>> {
  const originals = new Map<string, Buffer>();
  for (const path of contents.keys()) originals.set(path, await readFile(path));
  const write = async (all: ReadonlyMap<string, Buffer>) => {
    for (const [path, content] of all) await writeFile(path, content);
  };
  await write(contents);
  return () => write(originals);
}

const mutations: readonly Mutation[] = [
  async function flippedOnDisk({ random, files }) {
    const path = pick(random, pick(random, [...files.values()]));
    const undo = await overwrite(new Map([[path, flipBit(await readFile(path), random)]]));
    return { what: `a flipped bit in ${path}`, isInside: true, undo };
  },
  async function exchangedOnDisk({ random, files }) {
    const [one, other] = pickTwo(
      random,
      pick(
        random,
        [...files.values()].filter(({ length }) => length > 1),
      ),
    );
    const contents = new Map([
      [one, await readFile(other)],
      [other, await readFile(one)],
    ]);
    return { what: `${one} and ${other} exchanged`, isInside: true, undo: await overwrite(contents) };
  },
  async function deleted({ world, random, keys }) {
    const Key = pick(random, keys);
    const { VersionId } = await world.client.send(new DeleteObjectCommand({ Bucket, Key }));
    const undo = () => world.client.send(new DeleteObjectCommand({ Bucket, Key, VersionId }));
    return { what: `${Key} deleted`, isInside: false, undo };
  },
  async function truncated(target) {
    const key = pick(target.random, target.keys);
    const bytes = await readBytes(target.world, key);
    // The last byte of a document is a line break, without which it says the same.
    const kept = target.random.below(bytes.length - 1);
    const undo = await putOver(target, key, bytes.subarray(0, kept));
    return { what: `${key} cut to ${kept} bytes`, isInside: false, undo };
  },
  async function flipped(target) {
    const key = pick(target.random, target.chunks);
    const undo = await putOver(target, key, flipBit(await readBytes(target.world, key), target.random));
    return { what: `a flipped bit in ${key}`, isInside: false, undo };
  },
  async function replaced(target) {
    const [key, other] = pickTwo(target.random, target.keys);
    const undo = await putOver(target, key, await readBytes(target.world, other));
    return { what: `${key} replaced by ${other}`, isInside: false, undo };
  },
  async function exchanged(target) {
    const [one, other] = pickTwo(target.random, target.chunks);
    const [oneBytes, otherBytes] = [await readBytes(target.world, one), await readBytes(target.world, other)];
    const undos = [await putOver(target, one, otherBytes), await putOver(target, other, oneBytes)];
    const undo = () => Promise.all(undos.map((restore) => restore()));
    return { what: `${one} and ${other} exchanged`, isInside: false, undo };
  },
];

/** A full and two incremental backups, all of which the newest needs. */
async function makeTarget(t: TestContext, random: DeterministicRandom): Promise<Target> {
  const world = await createWorld(t, { CHUNK_SIZE: '6MiB' });
  const versioned = { Bucket, VersioningConfiguration: { Status: 'Enabled' as const } };
  await world.client.send(new PutBucketVersioningCommand(versioned));
  for (const [index, bytes] of [13 * mib, 7 * mib, 3 * mib].entries()) {
    await writeFile(join(world.data, `random-${index}`), random.bytes(bytes));
    await world.backup();
  }
  const keys = (await allKeys(world)).filter((key) => !/RESTORE\.txt$|recover\.sh$/.test(key));
  const blobs = join(world.directory, 's3/blobs');
  const forPeople = [
    await readBytes(world, 'fleet/host-1/RESTORE.txt'),
    await readBytes(world, 'fleet/host-1/recover.sh'),
  ];
  const files = new Map<number, string[]>();
  for (const name of await readdir(blobs)) {
    const content = await readFile(join(blobs, name));
    // What is for people, and what the pointer was before, are no part of the newest backup.
    if (forPeople.some((each) => content.equals(each)) || (await isOldPointer(world, content))) continue;
    files.set(content.length, [...(files.get(content.length) ?? []), join(blobs, name)]);
  }
  return { world, random, keys, chunks: keys.filter((key) => key.endsWith('.bin')), files };
}

async function isOldPointer(world: World, content: Buffer): Promise<boolean> {
  if (!content.toString('latin1', 0, 50).includes('"manifest_key"')) return false;
  return !content.equals(await readBytes(world, pointerKey));
}

async function openContext(world: World): Promise<StageContext> {
  const credentials = { AWS_ACCESS_KEY_ID: 'end-to-end', AWS_SECRET_ACCESS_KEY: secret };
  const settings = { S3_BUCKET: Bucket, S3_PREFIX: 'fleet/host-1' };
  const bucket = await openTestBucket(world.server.endpoint, settings, credentials);
  world.cleanUp(async () => bucket.close());
  return stageContext(bucket, { S3_PREFIX: 'fleet/host-1', RUN_DIR: world.runDirectory }).context;
}

async function isSound(context: StageContext, deep: boolean): Promise<boolean> {
  return (await verifyBackups(context, 'data', deep)).findings.length === 0;
}

async function sweep(t: TestContext, count: number, random: DeterministicRandom): Promise<void> {
  const target = await makeTarget(t, random);
  const { world } = target;
  const context = await openContext(world);
  const before = await namesIn(world.mount);
  const restored = join(world.mount, 'restored');
  const request = {
    subvolume: 'data',
    target: restored,
    selection: {},
    readOnly: false,
    mayWait: false,
    thaw: {},
  } as const;
  const exitCodes = new Map<number, number>();
  assert.ok(await isSound(context, true));
  for (let index = 0; index < count; index++) {
    const mutate = mutations[index % mutations.length] ?? assert.fail();
    const { what, isInside, undo } = await mutate(target);
    const about = `mutation ${index}: ${what}`;
    assert.equal(await isSound(context, true), false, `verify --deep, ${about}`);
    if (!isInside) assert.equal(await isSound(context, false), false, `verify, ${about}`);
    await assert.rejects(restoreBackup(context, { ...request, verifyMode: 'none' }), (error) => {
      assert.ok(error instanceof ToolError, `${about}: ${error}`);
      exitCodes.set(exitCodeOf(error), (exitCodes.get(exitCodeOf(error)) ?? 0) + 1);
      return true;
    });
    assert.deepEqual(await namesIn(world.mount), before, `nothing is left, ${about}`);
    await undo();
    assert.ok(await isSound(context, false), `undone, ${about}`);
  }
  t.diagnostic(`exit codes of restore: ${[...exitCodes].map(([code, times]) => `${times} × ${code}`)}`);
  assert.ok(await isSound(context, true));
  await restoreBackup(context, { ...request, verifyMode: 'none' });
}

const total = numberOf('MUTATIONS', mutationsOfATest);
for (let done = 0, round = 1; done < total; done += mutationsOfATest, round++) {
  const count = Math.min(mutationsOfATest, total - done);
  test(`no damage passes for a backup: round ${round}, ${count} mutations`, (t) =>
    sweep(t, count, seededRandom(t, `damage, round ${round}`)));
}
