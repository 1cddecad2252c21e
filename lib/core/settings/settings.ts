/**
 * From lines to settings: unknown keys, bad values and contradictions are collected and reported all at once, so that
 * a file is mended in one go.
 */
import { closest, distance } from 'fastest-levenshtein';
import type { z } from 'zod';
import { largestFrameBytes, MAX_PLAIN_FRAME_BYTES } from '../format/frames.ts';
import { chooseLayout, type Layout } from '../stream/part-sizes.ts';
import { formatSize, TIB } from '../units.ts';
import { endpointProblems } from './endpoint.ts';
import { settingRules } from './key-rules.ts';
import { awsVariables, notesOf, type SettingKey, settingKeys, type settingNotes } from './keys.ts';
import type { SettingLine, SettingProblem } from './lines.ts';

/** All settings by key: sizes in bytes, durations in seconds; undefined when not set and without a default. */
export type SettingValues = {
  readonly [Key in SettingKey]:
    | z.output<(typeof settingRules)[Key]>
    | ((typeof settingNotes)[Key] extends { readonly preset: string } ? never : undefined);
};

/** What settings resolve to. `aws` holds variables for the AWS SDK and may contain secrets. */
export interface ResolvedSettings {
  readonly values: SettingValues;
  readonly aws: Readonly<Record<string, string>>;
  readonly problems: readonly SettingProblem[];
}

/**
 * Applies rules and defaults to lines. A later line replaces an earlier one of the same key, so the caller puts the
 * file first and `--set` after it. Where there are problems, `values` must not be used.
 */
export function resolveSettings(lines: readonly SettingLine[]): ResolvedSettings {
  const known: readonly string[] = [...settingKeys, ...awsVariables];
  const problems: SettingProblem[] = [];
  const aws: Record<string, string> = {};
  const given = new Map<string, SettingLine>();
  for (const line of lines) {
    if (!known.includes(line.key)) {
      problems.push(unknownKey(line, known));
    } else if (isSettingKey(line.key)) given.set(line.key, line);
    else if (line.value === '') problems.push({ ...place(line), reason: 'has no value' });
    else aws[line.key] = line.value;
  }
  const values: Record<string, unknown> = {};
  for (const key of settingKeys) {
    const line = given.get(key);
    const { preset } = notesOf(key);
    if (line?.value === '' && preset !== '') {
      problems.push({ ...place(line), reason: 'has no value; remove the line for the default' });
      continue;
    }
    const text = line?.value ?? preset;
    if (text === undefined) {
      values[key] = undefined;
      continue;
    }
    const result = settingRules[key].safeParse(text);
    if (!result.success) {
      problems.push(
        ...result.error.issues.map((issue) => ({
          ...(line && place(line)),
          key,
          reason: `${issueText(issue)}${ofComment(text)}`,
        })),
      );
      continue;
    }
    values[key] = result.data;
  }
  const settings = values as SettingValues;
  problems.push(...contradictions(settings, given));
  return { values: settings, aws, problems };
}

/** True for a key of the table of settings. */
export function isSettingKey(key: string): key is SettingKey {
  return (settingKeys as readonly string[]).includes(key);
}

/** A word that is like no key is not repeated: a secret that ends in `=`, alone on a line, reads like one. */
function unknownKey({ key, line }: SettingLine, known: readonly string[]): SettingProblem {
  const nearest = closest(key.toUpperCase(), known);
  const isLike = distance(key.toUpperCase(), nearest) <= Math.max(key.length, nearest.length) / 2;
  if (isLike) return { line, key, reason: `is not a setting; did you mean ${nearest}?` };
  return { line, reason: 'is not a setting, and like none' };
}

function place(line: SettingLine): Pick<SettingProblem, 'line' | 'key'> {
  return { line: line.line, key: line.key };
}

/** A union reports only that nothing matched; the reason worth reading is in its last branch. */
function issueText(issue: z.core.$ZodIssue): string {
  if (issue.code !== 'invalid_union') return issue.message;
  return issue.errors.at(-1)?.[0]?.message ?? issue.message;
}

/** For a value that ends with what other programs read as a comment. */
function ofComment(text: string): string {
  return /\s#/.test(text) ? ' (a "#" is part of the value: comments stand on a line of their own)' : '';
}

/** What does not fit together; keys whose own value is bad take no part. */
function contradictions(settings: SettingValues, given: ReadonlyMap<string, SettingLine>): SettingProblem[] {
  const problems: SettingProblem[] = [];
  const add = (key: SettingKey, reason: string) => {
    const line = given.get(key);
    problems.push({ ...(line && place(line)), key, reason });
  };
  const sound = (...keys: SettingKey[]) => keys.every((key) => Object.hasOwn(settings, key));
  try {
    if (sound('CHUNK_SIZE', 'PART_SIZE')) {
      const layout = chooseLayout(settings.CHUNK_SIZE, settings.PART_SIZE);
      if (sound('COMPRESS', 'ENCRYPT_TO', 'AWS_ENDPOINT_URL_S3')) {
        refuseUnfitCodec(settings, layout, add);
        refuseTooLargeElsewhere(settings, layout, add);
      }
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    add('PART_SIZE', `${error.message}; use PART_SIZE=auto`);
  }
  if (sound('SSE', 'SSE_KMS_KEY_ID')) {
    if (settings.SSE === 'aws:kms' && !settings.SSE_KMS_KEY_ID) add('SSE', 'aws:kms needs SSE_KMS_KEY_ID');
    if (settings.SSE !== 'aws:kms' && settings.SSE_KMS_KEY_ID) add('SSE_KMS_KEY_ID', 'is for SSE=aws:kms');
  }
  if (settings.AWS_ENDPOINT_URL_S3 && sound('S3_ALLOW_HTTP')) {
    const found = endpointProblems(settings.AWS_ENDPOINT_URL_S3, settings.S3_ALLOW_HTTP);
    for (const problem of found) add('AWS_ENDPOINT_URL_S3', problem);
  }
  return problems;
}

/**
 * Other servers than those of AWS end at 5 TiB, as AWS did until December 2025; they would say so only when a whole chunk has been sent.
 */
function refuseTooLargeElsewhere(
  { COMPRESS, ENCRYPT_TO, AWS_ENDPOINT_URL_S3 }: SettingValues,
  { chunkSizeBytes, partSizeBytes }: Layout,
  add: (key: SettingKey, reason: string) => void,
): void {
  if (!AWS_ENDPOINT_URL_S3 || /\.amazonaws\.com(\.cn)?$/.test(new URL(AWS_ENDPOINT_URL_S3).hostname)) return;
  const mostBytes = 5 * TIB;
  const frames = Math.ceil(chunkSizeBytes / partSizeBytes);
  if (chunkSizeBytes > mostBytes) {
    add('CHUNK_SIZE', 'must not be above 5 TiB on other servers than those of AWS, many of which end there');
  } else if (
    (COMPRESS !== 'none' || ENCRYPT_TO.length > 0) &&
    frames * largestFrameBytes(partSizeBytes) > mostBytes
  ) {
    add('CHUNK_SIZE', 'is too large with COMPRESS or ENCRYPT_TO, which may make chunks a little larger');
  }
}

/** What cannot be stored with the codec: frames are held in memory, and their sizes are known only when they are made. */
function refuseUnfitCodec(
  { COMPRESS, ENCRYPT_TO, AWS_ENDPOINT_URL_S3 }: SettingValues,
  { chunkSizeBytes, partSizeBytes }: Layout,
  add: (key: SettingKey, reason: string) => void,
): void {
  if (COMPRESS === 'none' && ENCRYPT_TO.length === 0) return;
  if (partSizeBytes > MAX_PLAIN_FRAME_BYTES) {
    add('PART_SIZE', `must not be above ${formatSize(MAX_PLAIN_FRAME_BYTES)} with COMPRESS or ENCRYPT_TO`);
  }
  const frames = Math.ceil(chunkSizeBytes / partSizeBytes);
  // https://developers.cloudflare.com/r2/objects/upload-objects/#multipart-upload-details: all parts but the last are of one size.
  const isR2 =
    AWS_ENDPOINT_URL_S3 && /\.r2\.cloudflarestorage\.com$/.test(new URL(AWS_ENDPOINT_URL_S3).hostname);
  if (isR2 && COMPRESS !== 'none' && frames > 1) {
    add(
      'COMPRESS',
      'makes parts of different sizes, which Cloudflare R2 refuses: set CHUNK_SIZE no larger than PART_SIZE, or COMPRESS=none',
    );
  }
}
