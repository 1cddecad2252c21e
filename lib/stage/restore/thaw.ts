/**
 * Thaw: all archived chunks of a chain are requested at once, so that a restore waits once. State is read from the bucket
 * each time. Repeating is harmless: nothing that thaws, or is thawed for long enough, is requested again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pMap from 'p-map';
import { lookAgainMs } from '../../core/backoff.ts';
import { ToolError } from '../../core/errors.ts';
import type { ManifestChunk, StoredManifest } from '../../core/format/manifest.ts';
import { SubvolumeKeys } from '../../core/format/names.ts';
import { describeReadyTime, readyTime } from '../../core/thaw/ready-time.ts';
import {
  checkTier,
  daysToAsk,
  describeThaw,
  objectsToHurry,
  objectsToRequest,
  type ThawObject,
  type ThawProgress,
  thawProgress,
  transferMs,
} from '../../core/thaw/thaw-plan.ts';
import { DAY_MS, formatCount, formatDuration } from '../../core/units.ts';
import { listObjects } from '../../edge/s3/objects.ts';
import { requestThaw, type ThawTerms, thawStates } from '../../edge/s3/thaw-requests.ts';
import type { ThawAgain } from '../../transfer/back/fetching.ts';
import { REQUESTS_AT_ONCE } from '../bucket/backups.ts';
import { refuseLostChunks } from '../bucket/listed-chunks.ts';
import type { StageContext } from '../context.ts';
import {
  type Asked,
  describeHurry,
  type HurryOutcome,
  hurryUp,
  newlyAsked,
  progressOf,
  withAsked,
} from './thaw-asked.ts';

/** What is to be readable, and for how long. */
export interface ThawRequest {
  readonly subvolume: string;
  /** The backup whose chain it is: the key of its manifest. */
  readonly manifestKey: string;
  readonly chunks: readonly ManifestChunk[];
  /** What they are, if not chunks. */
  readonly noun?: string;
  readonly terms: ThawTerms;
  /** What thaws already is requested again in the tier that is asked for, if that is a faster one. */
  readonly mayHurry?: boolean;
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
  given: Partial<ThawTerms> = {},
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
    terms: {
      tier: given.tier ?? settings.RESTORE_TIER,
      days: given.days ?? daysToAsk(needed, settings.RESTORE_DAYS),
    },
    // It costs more: not because of a setting.
    mayHurry: given.tier !== undefined,
    neededMs: given.days === undefined ? needed : given.days * DAY_MS,
  };
}

/** The chunks of a chain, in the order in which they are read. */
export function chunksOf(chain: readonly StoredManifest[]): readonly ManifestChunk[] {
  return chain.flatMap(({ manifest }) => manifest.chunks);
}

/** How far a thaw is, and how many objects were requested just now. */
export interface ThawOutcome extends HurryOutcome {
  readonly progress: ThawProgress;
  readonly requested: number;
}

/** Looks at the chunks of a thaw and requests nothing. `requested` is how many would be. */
export async function lookAtThaw(context: StageContext, request: ThawRequest): Promise<ThawOutcome> {
  const objects = await look(context, request, newlyAsked());
  const missing = objectsToRequest(objects, Date.now() + request.neededMs);
  checkTier(missing, request.terms.tier);
  return { progress: thawProgress(objects), requested: missing.length, hurried: 0, unhurried: 0 };
}

/**
 * Requests all chunks that need it at once, and returns how far the thaw is.
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
  // What was requested and is no longer needed is forgotten: it may have to be requested again.
  const stillNeeded = new Set(needed.map(({ key }) => key));
  for (const key of asked.keys) if (!stillNeeded.has(key)) asked.keys.delete(key);
  const missing = needed.filter(({ key }) => !asked.keys.has(key));
  const { tier } = request.terms;
  const slow = request.mayHurry ? objectsToHurry(withAsked(objects, asked), tier) : [];
  checkTier([...missing, ...slow], tier);
  const hurry = await hurryUp(context, slow, request.terms, asked);
  if (missing.length === 0) return { progress: progressOf(objects, asked), requested: 0, ...hurry };
  const answers = await pMap(
    missing,
    async (object) => {
      const answer = await requestThaw(context.bucket, object, request.terms);
      asked.keys.add(object.key);
      if (answer === 'requested') asked.tiers.set(object.key, tier);
      if (answer === 'needless' || answer === 'unknown') asked.knownReadable.add(object.key);
      return answer;
    },
    { concurrency: REQUESTS_AT_ONCE, signal: context.signal },
  );
  if (answers.includes('unknown')) {
    context.log.warn('the server does not support RestoreObject; assuming archived chunks are readable');
  }
  const requested = answers.filter((answer) => answer === 'requested').length;
  return { progress: progressOf(await look(context, request, asked), asked), requested, ...hurry };
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
    const { progress, requested, hurried, unhurried } = await thawChunks(
      context,
      request,
      looks === 1 ? known : undefined,
      asked,
    );
    const { tier, days } = request.terms;
    const noun = request.noun ?? 'chunk';
    if (requested > 0) {
      context.log.info(
        `requested ${formatCount(requested, noun)} out of the archive (${tier}, ${days} days)`,
      );
    }
    for (const line of describeHurry({ hurried, unhurried }, tier)) context.log.info(line);
    if (progress.readable === progress.objects) {
      if (looks > 1) context.log.info(`the thaw is done: ${describeThaw(progress, noun)}`);
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
 * Thaws everything from a chunk on whose copy has expired during a restore. Ranges that notice it at the same time wait for the same
 * thaw.
 */
export function thawingAgain(
  context: StageContext,
  chain: readonly StoredManifest[],
  { thaw, mayWait }: { readonly thaw: Partial<ThawTerms>; readonly mayWait: boolean },
): ThawAgain {
  let running: Promise<void> | undefined;
  const chunks = chunksOf(chain);
  return (key, signal) => {
    running ??= (async () => {
      context.log.warn(`${key} cannot be read: its thawed copy has expired`);
      const rest = chunks.slice(chunks.findIndex((chunk) => chunk.key === key));
      await thawAndWait(context, thawRequestFor(context, chain, thaw, rest), mayWait, { signal });
    })().finally(() => {
      running = undefined;
    });
    return running;
  };
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

/** Logs the first look, each change, and otherwise a line every half hour. */
function teller({ log }: StageContext, { terms, noun }: ThawRequest): (progress: ThawProgress) => void {
  const everyMs = 1_800_000;
  let last = { text: '', toldMs: 0 };
  return (progress) => {
    const text = describeThaw(progress, noun);
    if (text === last.text && performance.now() - last.toldMs < everyMs) return;
    const ready = last.text === '' ? describeReadyTime(readyTime(progress, terms.tier)) : undefined;
    log.info(`waiting for the thaw: ${text}${ready ? `; ${ready}` : ''}`);
    last = { text, toldMs: performance.now() };
  };
}

function underWay(request: ThawRequest, progress: ThawProgress, what: string): ToolError {
  const noun = request.noun ?? 'chunk';
  const ready = describeReadyTime(readyTime(progress, request.terms.tier));
  return new ToolError(
    `${formatCount(progress.objects - progress.readable, noun)} of ${progress.objects} ${what}: ${describeThaw(progress, noun)}${ready ? `; ${ready}` : ''}`,
    {
      kind: 'thaw',
      hint: `they are requested: run the same command again then; make thaw SUBVOLUME=${request.subvolume} MANIFEST=${request.manifestKey} shows how far it is`,
    },
  );
}
