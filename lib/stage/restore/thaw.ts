/**
 * Thaw: all archived chunks of a chain are requested at once, so that a restore waits once. State is read from the bucket
 * each time; asking again is harmless, and nothing that thaws or is thawed for long enough is asked for again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pMap from 'p-map';
import { lookAgainMs } from '../../core/backoff.ts';
import { ToolError } from '../../core/errors.ts';
import type { ManifestChunk, StoredManifest } from '../../core/format/manifest.ts';
import { SubvolumeKeys } from '../../core/format/names.ts';
import {
  checkTier,
  daysToAsk,
  describeReadyIn,
  describeThaw,
  objectsToRequest,
  readyIn,
  type ThawObject,
  type ThawProgress,
  thawProgress,
  transferMs,
} from '../../core/thaw/thaw-plan.ts';
import { DAY_MS, formatCount, formatDuration } from '../../core/units.ts';
import { listObjects } from '../../edge/s3/objects.ts';
import { requestThaw, type ThawWish, thawStates } from '../../edge/s3/thaw-requests.ts';
import type { ThawAgain } from '../../transfer/back/fetching.ts';
import { REQUESTS_AT_ONCE } from '../bucket/backups.ts';
import { refuseLostChunks } from '../bucket/listed-chunks.ts';
import type { StageContext } from '../context.ts';

/** What is to be readable, and for how long. */
export interface ThawRequest {
  readonly subvolume: string;
  /** The backup whose chain it is: the key of its manifest. */
  readonly manifestKey: string;
  readonly chunks: readonly ManifestChunk[];
  readonly wish: ThawWish;
  /** Milliseconds for which a copy must stay from now on, or is asked for again. */
  readonly neededMs: number;
}

/**
 * What a restore of a chain needs: copies stay as long as their transfer takes. Tier and days that are given win over the
 * settings, and copies that stay for fewer days are asked for again then.
 */
export function thawRequestFor(
  { settings }: Pick<StageContext, 'settings'>,
  chain: readonly StoredManifest[],
  given: Partial<ThawWish> = {},
  chunks: readonly ManifestChunk[] = chunksOf(chain),
): ThawRequest {
  const newest = chain.at(-1);
  if (!newest) throw new Error('a chain has at least one manifest');
  const bytes = chunks.reduce((sum, { size }) => sum + size, 0);
  const needed = transferMs(bytes, settings.RESTORE_RATE);
  return {
    subvolume: newest.manifest.subvolume,
    manifestKey: newest.key,
    chunks,
    wish: {
      tier: given.tier ?? settings.RESTORE_TIER,
      days: given.days ?? daysToAsk(needed, settings.RESTORE_DAYS),
    },
    neededMs: given.days === undefined ? needed : given.days * DAY_MS,
  };
}

/** The chunks of a chain, in the order in which they are read. */
export function chunksOf(chain: readonly StoredManifest[]): readonly ManifestChunk[] {
  return chain.flatMap(({ manifest }) => manifest.chunks);
}

/** What one run asked for, so that it does not ask a second time while the bucket does not show it yet. */
interface Asked {
  readonly keys: Set<string>;
  /** Of a server that keeps the name of an archive class, but knows no thaw: its objects can be read. */
  readonly knownReadable: Set<string>;
}

/** How far a thaw is, and how many objects were requested just now. */
export interface ThawOutcome {
  readonly progress: ThawProgress;
  readonly requested: number;
}

/** Looks at the chunks of a thaw and requests nothing. `requested` is how many would be. */
export async function lookAtThaw(context: StageContext, request: ThawRequest): Promise<ThawOutcome> {
  const objects = await look(context, request, newlyAsked());
  const missing = objectsToRequest(objects, Date.now() + request.neededMs);
  checkTier(missing, request.wish.tier);
  return { progress: thawProgress(objects), requested: missing.length };
}

/**
 * Requests whatever of the chunks has to be, all at once, and tells how far the thaw is then.
 * @param known states that were read just now.
 * @throws ToolError (usage) when the class has no such tier; nothing was requested then.
 */
export async function thawChunks(
  context: StageContext,
  request: ThawRequest,
  known?: readonly ThawObject[],
  asked = newlyAsked(),
): Promise<ThawOutcome> {
  const objects = known ?? (await look(context, request, asked));
  const needed = objectsToRequest(objects, Date.now() + request.neededMs);
  // What is not needed any more was heard of: if it is needed again, it has to be requested again.
  const stillNeeded = new Set(needed.map(({ key }) => key));
  for (const key of asked.keys) if (!stillNeeded.has(key)) asked.keys.delete(key);
  const missing = needed.filter(({ key }) => !asked.keys.has(key));
  if (missing.length === 0) return { progress: progressOf(objects, asked), requested: 0 };
  checkTier(missing, request.wish.tier);
  const answers = await pMap(
    missing,
    async (object) => {
      const answer = await requestThaw(context.bucket, object, request.wish);
      asked.keys.add(object.key);
      if (answer === 'needless' || answer === 'unknown') asked.knownReadable.add(object.key);
      return answer;
    },
    { concurrency: REQUESTS_AT_ONCE, signal: context.signal },
  );
  if (answers.includes('unknown')) {
    context.log.warn("the server doesn't support RestoreObject; assuming archived chunks are readable");
  }
  const requested = answers.filter((answer) => answer === 'requested').length;
  return { progress: progressOf(await look(context, request, asked), asked), requested };
}

/**
 * Thaws chunks and waits until all can be read, with longer and longer pauses, for RESTORE_TIMEOUT.
 * @param mayWait false requests what is needed, and ends at once.
 * @throws ToolError (thaw) when they cannot be read by then; it says what is missing.
 */
export async function thawAndWait(
  context: StageContext,
  request: ThawRequest,
  mayWait: boolean,
  { known, signal = context.signal }: { known?: readonly ThawObject[]; signal?: AbortSignal } = {},
): Promise<void> {
  const timeoutMs = context.settings.RESTORE_TIMEOUT * 1000;
  const startedMs = performance.now();
  const asked = newlyAsked();
  const tell = teller(context, request);
  for (let looks = 1; ; looks++) {
    signal.throwIfAborted();
    const { progress, requested } = await thawChunks(
      context,
      request,
      looks === 1 ? known : undefined,
      asked,
    );
    if (requested > 0) {
      const { tier, days } = request.wish;
      context.log.info(
        `requested ${formatCount(requested, 'chunk')} out of the archive (${tier}, ${days} days)`,
      );
    }
    if (progress.readable === progress.objects) {
      if (looks > 1) context.log.info(`the thaw is done: ${describeThaw(progress)}`);
      return;
    }
    if (!mayWait) throw underWay(request, progress, 'must be thawed first');
    const leftMs = startedMs + timeoutMs - performance.now();
    if (leftMs <= 0) {
      const waited = `are not thawed after ${formatDuration(context.settings.RESTORE_TIMEOUT)} (RESTORE_TIMEOUT)`;
      throw underWay(request, progress, waited);
    }
    const pauseMs = Math.min(lookAgainMs(looks), leftMs);
    tell(progress);
    await sleep(pauseMs, undefined, { signal });
  }
}

/**
 * What a restore does when copies expire in the middle of it: thaws everything from that chunk on. Ranges that find out at the
 * same time wait for the same thaw.
 */
export function thawingAgain(
  context: StageContext,
  chain: readonly StoredManifest[],
  { thaw, mayWait }: { readonly thaw: Partial<ThawWish>; readonly mayWait: boolean },
): ThawAgain {
  let running: Promise<void> | undefined;
  const chunks = chunksOf(chain);
  return (key, signal) => {
    running ??= (async () => {
      context.log.warn(`${key} cannot be read any more: its thawed copy has expired`);
      const rest = chunks.slice(chunks.findIndex((chunk) => chunk.key === key));
      await thawAndWait(context, thawRequestFor(context, chain, thaw, rest), mayWait, { signal });
    })().finally(() => {
      running = undefined;
    });
    return running;
  };
}

function newlyAsked(): Asked {
  return { keys: new Set(), knownReadable: new Set() };
}

/** What was asked for just now counts as in progress, whether the bucket shows it yet or not. */
function progressOf(objects: readonly ThawObject[], { keys }: Asked): ThawProgress {
  return thawProgress(
    objects.map((object) =>
      object.state.kind === 'cold' && keys.has(object.key)
        ? { ...object, state: { ...object.state, kind: 'thawing' } }
        : object,
    ),
  );
}

async function look(
  { bucket }: StageContext,
  { subvolume, chunks }: ThawRequest,
  { knownReadable }: Asked,
): Promise<readonly ThawObject[]> {
  const listed = await listObjects(bucket, new SubvolumeKeys(bucket.prefix, subvolume).root);
  refuseLostChunks(chunks, listed);
  const wanted = new Set(chunks.map(({ key }) => key));
  const states = await thawStates(bucket, listed, wanted, REQUESTS_AT_ONCE);
  return chunks.map(({ key, size }): ThawObject => {
    const state = knownReadable.has(key) ? undefined : states.get(key);
    return { key, sizeBytes: size, state: state ?? { kind: 'readable' } };
  });
}

/** Tells of the first look, of changes, and of nothing new every half hour. */
function teller({ log }: StageContext, { wish }: ThawRequest): (progress: ThawProgress) => void {
  const everyMs = 1_800_000;
  let last = { text: '', toldMs: 0 };
  return (progress) => {
    const text = describeThaw(progress);
    if (text === last.text && performance.now() - last.toldMs < everyMs) return;
    const ready = last.text === '' ? readyIn(progress, wish.tier) : undefined;
    log.info(`waiting for the thaw: ${text}${ready ? `; it takes ${describeReadyIn(ready)}` : ''}`);
    last = { text, toldMs: performance.now() };
  };
}

function underWay(request: ThawRequest, progress: ThawProgress, what: string): ToolError {
  const missing = progress.objects - progress.readable;
  const ready = readyIn(progress, request.wish.tier);
  const time = ready ? `, which takes ${describeReadyIn(ready)} from the request on` : '';
  return new ToolError(
    `${formatCount(missing, 'chunk')} of ${progress.objects} ${what}: ${describeThaw(progress)}${time}`,
    {
      kind: 'thaw',
      hint: `they are requested: run the same again then; make thaw SUBVOLUME=${request.subvolume} MANIFEST=${request.manifestKey} shows how far it is`,
    },
  );
}
