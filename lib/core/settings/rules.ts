/** The kinds of values that settings have, as zod types over the text that stands in the file. */
import { z } from 'zod';
import { isSubvolumeName } from '../format/names.ts';
import { parseLimit } from '../rate-limit.ts';
import { formatSize, parseDuration, parseSize } from '../units.ts';

/** A size within bounds, in bytes. */
export function size(minBytes: number, maxBytes: number) {
  return z.string().transform((text, context) => {
    const bytes = parseSize(text);
    if (bytes === undefined) {
      context.addIssue('is not a size such as 64MiB or 200GiB (KiB, MiB, GiB, TiB or plain bytes)');
    } else if (bytes < minBytes || bytes > maxBytes) {
      context.addIssue(`must be between ${formatSize(minBytes)} and ${formatSize(maxBytes)}`);
    } else return bytes;
    return z.NEVER;
  });
}

/** A duration, in seconds. */
export function duration() {
  return z.string().transform((text, context) => {
    const seconds = parseDuration(text);
    if (seconds !== undefined) return seconds;
    context.addIssue('is not a duration such as 90s, 30m, 72h or 7d');
    return z.NEVER;
  });
}

/** A whole number within bounds. */
export function wholeNumber(min: number, max: number) {
  return z.string().transform((text, context) => {
    const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (number >= min && number <= max) return number;
    context.addIssue(`must be a whole number from ${min} to ${max}`);
    return z.NEVER;
  });
}

/** One of a few words. */
export function oneOf<const Words extends readonly [string, ...string[]]>(words: Words) {
  return z.enum(words, { error: `must be one of: ${words.join(', ')}` });
}

/** `true` or `false`. */
export function flag() {
  return oneOf(['true', 'false']).transform((word) => word === 'true');
}

/** The address of a proxy; one without a scheme is spoken to in plain http, as curl does. */
export function proxy() {
  return z.string().transform((text, context) => {
    const address = text.includes('://') ? text : `http://${text}`;
    if (/^https?:/.test(address) && URL.canParse(address)) return address;
    context.addIssue('is not an http:// or https:// address of a proxy');
    return z.NEVER;
  });
}

/** A rate, or a timetable of rates. */
export function rateLimit() {
  return z.string().transform((text, context) => {
    const parsed = parseLimit(text);
    if (typeof parsed !== 'string') return parsed;
    context.addIssue(parsed);
    return z.NEVER;
  });
}

/** An absolute path without trailing slashes. */
export function absolutePath() {
  return z.string().transform((text, context) => {
    if (text.startsWith('/')) return text.replace(/(?<=.)\/+$/, '');
    context.addIssue('must be an absolute path');
    return z.NEVER;
  });
}

/** Comma-separated globs of absolute paths; none is no glob. */
export function globs() {
  return z.string().transform((text, context) => {
    const found = text.split(',').flatMap((word) => word.trim().replace(/(?<=.)\/+$/, '') || []);
    const relative = found.find((glob) => !/^(\/|\*\*\/)/.test(glob));
    if (relative === undefined) return found;
    context.addIssue(`"${relative}" must be absolute, or begin with **/`);
    return z.NEVER;
  });
}

/** A subvolume to take snapshots of: its name in the bucket and its path here. */
export interface LiveSubvolume {
  readonly name: string;
  readonly path: string;
}

/** A subvolume of which others take the snapshots: its name in the bucket, and a glob of their paths here. */
export interface AdoptedSubvolume {
  readonly name: string;
  readonly snapshots: string;
}

/** A subvolume to back up. */
export type SelectedSubvolume = LiveSubvolume | AdoptedSubvolume;

/** Where a subvolume is, or in which directory the search for its snapshots begins. */
export function placeOf(selected: SelectedSubvolume): string {
  if ('path' in selected) return selected.path;
  const [fixed = ''] = selected.snapshots.split(/[*?[\]{}!()]/);
  if (fixed === selected.snapshots) return fixed;
  return fixed.slice(0, fixed.lastIndexOf('/')) || '/';
}

/** `name=/path,/path/to/other,name=snapshots:/glob`: names unique, by default the last part of the path. */
export function subvolumes() {
  return z.string().transform((text, context) => {
    const selected: SelectedSubvolume[] = [];
    for (const item of text.split(',').map((word) => word.trim())) {
      const match = /^(?:([^=/]+)=\s*)?(snapshots:\s*)?(\/.*)$/.exec(item);
      const isAdopted = match?.[2] !== undefined;
      const path = match?.[3]?.replace(/(?<=.)\/+$/, '') ?? '';
      const name = match?.[1]?.trim() ?? (isAdopted ? '' : path.slice(path.lastIndexOf('/') + 1));
      if (/^([^=/]*=)?\s*snapshots:/.test(item) && !match) {
        context.addIssue(`"${item}" is not name=snapshots:/glob: the glob must be an absolute path`);
      } else if (!match) {
        context.addIssue(`"${item}" is neither an absolute path nor name=/path`);
      } else if (isAdopted && match[1] === undefined) {
        context.addIssue(`"${item}" needs a name in front: name=snapshots:${path}`);
      } else if (isAdopted && path.includes('**')) {
        context.addIssue(
          `"${item}" has "**", which would search all snapshots through; write "*" per directory`,
        );
      } else if (!isSubvolumeName(name)) {
        context.addIssue(
          `"${item}" needs a name of letters, digits, ".", "_" and "-" in front: name=${path}`,
        );
      } else if (name === 'lock') {
        context.addIssue(`"lock" is the name of a file in RUN_DIR; give another name: other-name=${path}`);
      } else if (selected.some((other) => other.name === name)) {
        context.addIssue(`two subvolumes are named "${name}"; give one another name: other-name=${path}`);
      } else selected.push(isAdopted ? { name, snapshots: path } : { name, path });
    }
    return selected;
  });
}
