/** What one run has asked for of a thaw, so that it asks for nothing twice and says no time that belongs to the request of another run. */
import pMap from 'p-map';
import type { ThawTier } from '../../core/thaw/archive-classes.ts';
import {
  type ColdObject,
  type ThawObject,
  type ThawProgress,
  thawProgress,
} from '../../core/thaw/thaw-plan.ts';
import { formatCount } from '../../core/units.ts';
import { requestThaw, type ThawTerms } from '../../edge/s3/thaw-requests.ts';
import { REQUESTS_AT_ONCE } from '../bucket/backups.ts';
import type { StageContext } from '../context.ts';

/** Kept while a run lasts. */
export interface Asked {
  /** Keys that were requested, while the bucket does not show it yet. */
  readonly keys: Set<string>;
  /** The tier in which this run requested an object, by key. */
  readonly tiers: Map<string, ThawTier>;
  /** Keys of objects that thaw by an earlier request and were not made faster. */
  readonly refusedFaster: Set<string>;
  /** Of a server that keeps the name of an archive class, but does not support RestoreObject: its objects can be read. */
  readonly knownReadable: Set<string>;
}

/** Of a run that has asked for nothing yet. */
export function newlyAsked(): Asked {
  return { keys: new Set(), tiers: new Map(), refusedFaster: new Set(), knownReadable: new Set() };
}

/** What was asked for just now counts as in progress, whether the bucket shows it yet or not, and its tier is known. */
export function withAsked(objects: readonly ThawObject[], { keys, tiers }: Asked): readonly ThawObject[] {
  return objects.map((object): ThawObject => {
    const { state, key } = object;
    const isUnderWay = state.kind === 'thawing' || (state.kind === 'cold' && keys.has(key));
    if (!isUnderWay) return object;
    const tier = tiers.get(key);
    return { ...object, state: { kind: 'thawing', archive: state.archive, ...(tier && { tier }) } };
  });
}

/** How far objects are, with what was asked for just now. */
export function progressOf(objects: readonly ThawObject[], asked: Asked): ThawProgress {
  return thawProgress(withAsked(objects, asked));
}

/** What came of asking for a faster tier, in objects. */
export interface HurryOutcome {
  readonly hurried: number;
  /** These go on as they were. */
  readonly unhurried: number;
}

/**
 * Requests what thaws already once more, in the tier that is asked for. S3 takes that where the tier is a faster one and all else is as it
 * was ("restore speed upgrade", https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html), and changes nothing otherwise.
 */
export async function hurryUp(
  { bucket, signal }: StageContext,
  slow: readonly ColdObject[],
  terms: ThawTerms,
  { tiers, refusedFaster }: Asked,
): Promise<HurryOutcome> {
  const answers = await pMap(
    slow.filter(({ key }) => !refusedFaster.has(key)),
    async (object) => {
      const isTaken = (await requestThaw(bucket, object, terms)) === 'requested';
      if (isTaken) tiers.set(object.key, terms.tier);
      else refusedFaster.add(object.key);
      return isTaken;
    },
    { concurrency: REQUESTS_AT_ONCE, signal },
  );
  const hurried = answers.filter((isTaken) => isTaken).length;
  return { hurried, unhurried: answers.length - hurried };
}

/** What came of it, in lines for people. */
export function describeHurry({ hurried, unhurried }: HurryOutcome, tier: ThawTier): readonly string[] {
  const lines: string[] = [];
  if (hurried > 0) lines.push(`${formatCount(hurried, 'object')} that thawed already: ${tier} from now on`);
  if (unhurried > 0) {
    lines.push(
      `${formatCount(unhurried, 'object')} that thawed already: goes on as it was, ${tier} is not faster or was refused`,
    );
  }
  return lines;
}
