/** What to ask for so that some objects can be read, and how far a thaw is: from states alone, nothing is asked here. */

import { ToolError } from '../errors.ts';
import { DAY_MS, formatCount, formatSize } from '../units.ts';
import { type Archive, type ThawState, type ThawTier, thawTime } from './archive-classes.ts';

/** Days that a thawed copy may be asked for. */
export const MOST_THAW_DAYS = 365;

/** An object with its state. */
export interface ThawObject {
  readonly key: string;
  readonly sizeBytes: number;
  readonly state: ThawState;
}

/** An object that a request has to be made for. */
export interface ColdObject {
  readonly key: string;
  readonly archive: Archive;
}

/** Milliseconds in which some bytes are read at a rate in bytes a second. */
export function transferMs(bytes: number, bytesPerSecond: number): number {
  return Math.ceil((bytes / bytesPerSecond) * 1000);
}

/** The copy that is there first waits for the last: Bulk of DEEP_ARCHIVE takes up to 48 hours. */
const longestThawMs = 2 * DAY_MS;

/** Days to ask for: the longest thaw and what the transfer needs, begun ones counted, and at least `atLeast`. */
export function daysToAsk(neededMs: number, atLeast: number): number {
  return Math.min(MOST_THAW_DAYS, Math.max(atLeast, Math.ceil((longestThawMs + neededMs) / DAY_MS)));
}

/**
 * The objects that a request has to be made for: the cold ones, and those whose copy goes before `untilMs`. One that thaws
 * or is thawed for long enough is not among them: a second request would be charged for.
 */
export function objectsToRequest(objects: readonly ThawObject[], untilMs: number): readonly ColdObject[] {
  return objects.flatMap(({ key, state }) => {
    if (state.kind === 'cold') return [{ key, archive: state.archive }];
    const isShort = state.kind === 'thawed' && state.expiresAtMs !== undefined && state.expiresAtMs < untilMs;
    return isShort ? [{ key, archive: state.archive }] : [];
  });
}

/** The objects that thaw by an earlier request, and may be asked for again in a faster tier than that one's. */
export function objectsToHurry(objects: readonly ThawObject[], tier: ThawTier): readonly ColdObject[] {
  // There is nothing slower.
  if (tier === 'Bulk') return [];
  return objects.flatMap(({ key, state }) =>
    state.kind === 'thawing' && state.tier === undefined ? [{ key, archive: state.archive }] : [],
  );
}

/** @throws ToolError (usage) when one of the objects is archived where there is no such tier. */
export function checkTier(objects: readonly ColdObject[], tier: ThawTier): void {
  const refused = objects.find(({ archive }) => thawTime(archive, tier) === undefined);
  if (!refused) return;
  throw new ToolError(`${refused.archive} has no tier ${tier}: nothing was requested`, {
    kind: 'usage',
    hint: 'use TIER=Standard (within 12 hours) or TIER=Bulk (within 48 hours, cheaper), or set RESTORE_TIER',
  });
}

/** How far the thaw of some objects is. */
export interface ThawProgress {
  readonly objects: number;
  readonly bytes: number;
  /** Objects that can be read now: thawed, or never archived. */
  readonly readable: number;
  readonly readableBytes: number;
  /** Those of them that are copies out of an archive. */
  readonly thawed: number;
  readonly thawing: number;
  readonly cold: number;
  /** When the first of the thawed copies goes, in milliseconds since the epoch. */
  readonly expiresAtMs: number | undefined;
  /** What those that cannot be read wait for, each kind once. */
  readonly waits: readonly Wait[];
}

/** A kind of object that cannot be read yet. */
export interface Wait {
  readonly archive: Archive;
  readonly isAsked: boolean;
  /** Undefined where it was not requested, and where an earlier run requested it. */
  readonly tier: ThawTier | undefined;
}

/** Counts objects by state. */
export function thawProgress(objects: readonly ThawObject[]): ThawProgress {
  const of = (...kinds: readonly ThawState['kind'][]) =>
    objects.filter(({ state }) => kinds.includes(state.kind));
  const readable = of('readable', 'thawed');
  const expiries = objects.flatMap(({ state }) =>
    state.kind === 'thawed' && state.expiresAtMs !== undefined ? [state.expiresAtMs] : [],
  );
  return {
    objects: objects.length,
    bytes: bytesOf(objects),
    readable: readable.length,
    readableBytes: bytesOf(readable),
    thawed: of('thawed').length,
    thawing: of('thawing').length,
    cold: of('cold').length,
    expiresAtMs: expiries.reduce<number | undefined>((a, b) => Math.min(a ?? b, b), undefined),
    waits: distinct(
      objects.flatMap(({ state }): Wait[] => {
        if (state.kind !== 'thawing' && state.kind !== 'cold') return [];
        const tier = state.kind === 'thawing' ? state.tier : undefined;
        return [{ archive: state.archive, isAsked: state.kind === 'thawing', tier }];
      }),
    ),
  };
}

function distinct(waits: readonly Wait[]): readonly Wait[] {
  const nameOf = ({ archive, isAsked, tier }: Wait) => `${archive} ${isAsked} ${tier}`;
  const byName = new Map(waits.map((wait) => [nameOf(wait), wait]));
  return [...byName].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, wait]) => wait);
}

/** The progress of two lots of objects together. */
export function addProgress(a: ThawProgress, b: ThawProgress): ThawProgress {
  const expiries = [a.expiresAtMs, b.expiresAtMs].filter((at) => at !== undefined);
  return {
    objects: a.objects + b.objects,
    bytes: a.bytes + b.bytes,
    readable: a.readable + b.readable,
    readableBytes: a.readableBytes + b.readableBytes,
    thawed: a.thawed + b.thawed,
    thawing: a.thawing + b.thawing,
    cold: a.cold + b.cold,
    expiresAtMs: expiries.length > 0 ? Math.min(...expiries) : undefined,
    waits: distinct([...a.waits, ...b.waits]),
  };
}

/** `3 of 26 chunks (12 GiB of 100 GiB) can be read, 23 in progress`: how far it is, for people. */
export function describeThaw(
  { objects, bytes, readable, readableBytes, thawing, cold }: ThawProgress,
  noun = 'chunk',
): string {
  const counts = [
    `${readable} of ${formatCount(objects, noun)} (${formatSize(readableBytes)} of ${formatSize(bytes)}) can be read`,
    ...(thawing > 0 ? [`${thawing} in progress`] : []),
    ...(cold > 0 ? [`${cold} cold`] : []),
  ];
  return counts.join(', ');
}

function bytesOf(objects: readonly ThawObject[]): number {
  return objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
