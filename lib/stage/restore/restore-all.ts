/** ALL=1: every subvolume of the host below one directory. What can be refused is refused, and what must thaw is requested, before the first. */
import { mkdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ToolError } from '../../core/errors.ts';
import type { StoredManifest } from '../../core/format/manifest.ts';
import { type RestoredAllFile, restoredAllSchema } from '../../core/format/restore-file.ts';
import { roomNeeded } from '../../core/plan/room.ts';
import { formatCount, formatSize } from '../../core/units.ts';
import { subvolumeAt } from '../../edge/btrfs/btrfs.ts';
import { compresses } from '../../edge/btrfs/mounts/mount-options.ts';
import { seal, sealed } from '../../edge/files/checked-json.ts';
import { fileError, pathExists, readJsonFile, writeJsonFile } from '../../edge/files/files.ts';
import { listEverything, momentOf, nothingFound, selectManifest } from '../bucket/backups.ts';
import { checkReadable } from '../bucket/identity.ts';
import { resolveTrustedChain } from '../bucket/signatures.ts';
import type { StageContext } from '../context.ts';
import { type RestoreOutcome, type RestoreRequest, restoreBackup } from './restore.ts';
import { freeBytes, streamBytes } from './room.ts';
import { stagingPath } from './staging/staging.ts';
import { checkPlace } from './target.ts';
import { thawChunks, thawRequestFor } from './thaw.ts';

/** What to restore, and below which directory. */
export interface RestoreAllRequest extends Omit<RestoreRequest, 'subvolume' | 'target' | 'selection'> {
  readonly directory: string;
  /** Of each subvolume the newest backup not later than this; the published one without. */
  readonly at: string | undefined;
}

/** A subvolume of the host, and where it goes. */
export interface SubvolumeToRestore {
  readonly name: string;
  readonly path: string;
}

/** A restore of all subvolumes. */
export interface RestoreOfAll {
  readonly subvolumes: readonly SubvolumeToRestore[];
  /** Restores one of them; undefined when an earlier run has. */
  restore(subvolume: SubvolumeToRestore): Promise<RestoreOutcome | undefined>;
  /** Says that all of them are there. */
  finish(): Promise<void>;
}

/**
 * Finds the subvolumes, makes the directory where it is missing, and requests every thaw.
 * @throws ToolError when there are none, or they are bound not to fit
 */
export async function openRestoreOfAll(
  context: StageContext,
  request: RestoreAllRequest,
): Promise<RestoreOfAll> {
  const { directory, at, ...rest } = request;
  // It may be where a filesystem is mounted.
  await checkPlace((await pathExists(directory)) ? join(directory, 'each') : directory);
  if (at !== undefined) momentOf(at);
  const { names } = await listEverything(context.bucket);
  if (names.length === 0) throw await nothingFound(context.bucket, 'there is no backup');
  await mkdir(directory, { recursive: true }).catch((cause: unknown) => {
    throw fileError(`cannot make ${directory}`, cause);
  });
  const record = new RestoredAll(directory);
  const subvolumes = names.map((name) => ({ name, path: join(directory, name) }));
  await prepare(context, request, subvolumes);
  return {
    subvolumes,
    async restore({ name, path }) {
      const there = await record.find(name, path);
      if (there) {
        await checkIsMeant(context, request, { name, path }, there);
        context.log.info(`${name} was restored to ${path} by an earlier run, from ${there.manifest_key}`);
        return undefined;
      }
      return restoreBackup(context, {
        ...rest,
        subvolume: name,
        target: path,
        selection: { at },
        onInPlace: ({ key }) => record.add(name, path, { bucket: placeOf(context), manifest_key: key }),
      });
    },
    finish: () => record.remove(),
  };
}

/** @throws ToolError (usage) when an earlier run, for another point in time or another prefix, has restored another backup of that name */
async function checkIsMeant(
  context: StageContext,
  { at }: RestoreAllRequest,
  { name, path }: SubvolumeToRestore,
  there: RestoredBackup,
): Promise<void> {
  const isOfBucket = there.bucket === placeOf(context);
  // Without AT= each is the newest one of its time.
  const isMeant =
    isOfBucket &&
    (at === undefined || (await selectManifest(context.bucket, name, { at })) === there.manifest_key);
  if (isMeant) return;
  throw new ToolError(
    `${path} holds ${there.manifest_key} of ${there.bucket}, which an earlier run restored, and ${isOfBucket ? `AT=${at} means another backup` : 'that is another bucket or prefix'}`,
    { kind: 'usage', hint: 'choose another TARGET, or repeat the command of that run' },
  );
}

/** Where backups are, as records of restores name it. */
function placeOf({ bucket }: StageContext): string {
  return `${bucket.name}/${bucket.prefix}`;
}

/** Looks at the room for what is still to be restored, and requests its thaws, so that all are waited for at once. */
async function prepare(
  context: StageContext,
  { directory, at, thaw }: RestoreAllRequest,
  subvolumes: readonly SubvolumeToRestore[],
): Promise<void> {
  const chains: (readonly StoredManifest[])[] = [];
  for (const { name, path } of subvolumes) {
    // What is there, or has begun, takes up its room already.
    if ((await pathExists(path)) || (await pathExists(stagingPath(path)))) continue;
    const chain = await inItsTurn(readableChain(context, name, at));
    if (chain) chains.push(chain);
  }
  await checkRoomForAll(chains, directory);
  for (const chain of chains) {
    await inItsTurn(thawChunks(context, thawRequestFor(context, chain, thaw)));
  }
}

async function readableChain(
  context: StageContext,
  subvolume: string,
  at: string | undefined,
): Promise<readonly StoredManifest[]> {
  const chain = await resolveTrustedChain(context, subvolume, { at });
  await checkReadable(context, chain);
  return chain;
}

/** What is wrong with one subvolume is reported when its turn comes, and does not stop the others. */
async function inItsTurn<Result>(work: Promise<Result>): Promise<Result | undefined> {
  return work.catch((error: unknown) => {
    if (!(error instanceof ToolError) || error.kind === 'interrupted') throw error;
    return undefined;
  });
}

/** Each is received beside those before it, of which at least what their last stream brought is alive. */
async function checkRoomForAll(
  chains: readonly (readonly StoredManifest[])[],
  directory: string,
): Promise<void> {
  let [before, needed] = [0, 0];
  for (const chain of chains) {
    needed = Math.max(needed, before + roomNeeded(chain.map(streamBytes), false).atLeast);
    const newest = chain.at(-1);
    before += newest ? streamBytes(newest) : 0;
  }
  const free = await freeBytes(directory);
  if (free >= needed || (await compresses(directory))) return;
  throw new ToolError(
    `the restore of ${formatCount(chains.length, 'subvolume')} needs about ${formatSize(needed)}, but ${directory} has ${formatSize(free)} free`,
    { hint: 'make room, choose a TARGET on another filesystem, or restore them one by one with SUBVOLUME=' },
  );
}

/** A backup that an earlier run has restored. */
type RestoredBackup = Omit<RestoredAllFile['restored'][string], 'uuid'>;

/** Which subvolumes are there, for a run that comes after one that failed. */
class RestoredAll {
  readonly #path: string;

  constructor(directory: string) {
    this.#path = join(directory, '.btrfs-to-s3-restored.json');
  }

  /** The backup at a path, if it is there as it was restored. */
  async find(name: string, path: string): Promise<RestoredBackup | undefined> {
    const found = (await this.#read()).restored[name];
    if (!found || (await subvolumeAt(path, basename(path)))?.uuid !== found.uuid) return undefined;
    return found;
  }

  async add(name: string, path: string, backup: RestoredBackup): Promise<void> {
    const { restored } = await this.#read();
    const uuid = (await subvolumeAt(path, basename(path)))?.uuid;
    if (uuid) {
      await writeJsonFile(this.#path, seal({ restored: { ...restored, [name]: { uuid, ...backup } } }));
    }
  }

  async remove(): Promise<void> {
    await rm(this.#path, { force: true });
  }

  async #read(): Promise<RestoredAllFile> {
    const read = await readJsonFile(this.#path, sealed(restoredAllSchema)).catch(() => undefined);
    return read ?? { restored: {} };
  }
}
