/**
 * What the file of a harness run contains, such as testing/config/test.env: keys of the harness, and settings that are passed
 * on to the tool. A file that holds a credential is refused, because these files are kept in the repository.
 */
import { readFile } from 'node:fs/promises';
import { relative, resolve } from 'node:path';
import { z } from 'zod';
import { ToolError } from '../../../lib/core/errors.ts';
import { readSettingLines, type SettingLine } from '../../../lib/core/settings/lines.ts';
import { oneOf, size, wholeNumber } from '../../../lib/core/settings/rules.ts';
import { isSettingKey, resolveSettings } from '../../../lib/core/settings/settings.ts';
import { MIB, TIB } from '../../../lib/core/units.ts';
import { type Feature, parseFeatures } from '../servers/features.ts';
import { repositoryRoot } from '../test-directory.ts';

/** The servers that the harness can run against. */
export const serverKinds = ['local', 'ceph', 'env'] as const;
export type ServerKind = (typeof serverKinds)[number];

const optional = <Rule extends z.ZodType>(rule: Rule, fallback: z.input<Rule>) => rule.prefault(fallback);

const keys = {
  S3_SERVER: optional(oneOf(serverKinds), 'local'),
  S3_LACKS: optional(z.string(), ''),
  // It goes into a list of subvolumes, into make and into an environment variable by which processes are found.
  HARNESS_RUN_DIR: optional(
    z.string().regex(/^[^,$=~'"`\\]+$/, 'must be a path without , $ = ~ quotes and backslash'),
    'testing/run',
  ),
  IMAGE_SIZE: optional(size(256 * MIB, TIB), '2GiB'),
  SEED: optional(wholeNumber(0, 1_000_000_000), '1'),
  SEED_FILES: optional(wholeNumber(64, 10_000_000), '200'),
  SEED_SIZE: optional(size(MIB, TIB), '24MiB'),
  INTERRUPT_SIZE: optional(size(32 * MIB, TIB), '96MiB'),
  THAW_DELAY_MS: optional(wholeNumber(0, 86_400_000), '0'),
} as const;

type Key = keyof typeof keys;

/** Sizes in bytes, delays in milliseconds, `runDirectory` absolute; `tool` goes into the tool's settings unchanged. */
export interface HarnessSettings {
  readonly file: string;
  readonly server: ServerKind;
  /** What the server is known to lack, by the names of the contract tests. */
  readonly lacks: ReadonlySet<Feature>;
  readonly runDirectory: string;
  readonly imageBytes: number;
  readonly seed: number;
  readonly seedFiles: number;
  readonly seedBytes: number;
  readonly interruptBytes: number;
  readonly thawDelayMs: number;
  readonly tool: Readonly<Record<string, string>>;
}

/** Written by setup, so that they have no place in the file. */
const ownAffair: readonly string[] = ['SUBVOLUMES', 'SNAPSHOT_DIR', 'RUN_DIR'];
/** What names a server; with `local` and `ceph` the harness names it. */
const serverKeys: readonly string[] = ['S3_BUCKET', 'S3_PREFIX', 'AWS_REGION', 'AWS_ENDPOINT_URL_S3'];

/**
 * Reads a file. S3_SERVER and S3_LACKS of the environment win over it; for `env`, so do the variables that name the server.
 * @throws ToolError (usage) with every problem on a line of its own.
 */
export async function readHarnessSettings(
  path: string,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<HarnessSettings> {
  const file = fromRoot(path);
  const text = await readFile(resolve(path), 'utf8').catch((cause: unknown) => {
    throw usage(
      `cannot read the harness settings ${file}`,
      'name a file, such as testing/config/test.env',
      cause,
    );
  });
  const { lines, problems } = readSettingLines(text);
  const found = problems.map(({ line, key, reason }) => `${file}:${line}: ${key ?? 'the line'} ${reason}`);
  const values = new Map(lines.map(({ key, value }) => [key, value]));
  const places = new Map<string, string>();
  for (const key of ['S3_SERVER', 'S3_LACKS']) {
    const given = environment[key];
    if (given === undefined) continue;
    values.set(key, given);
    places.set(key, 'the environment');
  }
  const remote = values.get('S3_SERVER') === 'env';
  for (const key of remote ? serverKeys : []) {
    const given = environment[key];
    if (given !== undefined) values.set(key, given);
  }
  found.push(
    ...lines.flatMap((line) => refusal(line, remote).map((reason) => `${file}:${line.line}: ${reason}`)),
  );
  const parsed: Partial<Record<Key, unknown>> & { S3_LACKS?: string } = {};
  for (const [key, rule] of Object.entries(keys)) {
    const result = (rule as z.ZodType).safeParse(values.get(key));
    if (result.success) Object.assign(parsed, { [key]: result.data });
    else
      found.push(
        ...result.error.issues.map(({ message }) => `${places.get(key) ?? file}: ${key} ${message}`),
      );
  }
  let lacks: ReadonlySet<Feature> = new Set();
  try {
    lacks = parseFeatures(parsed.S3_LACKS ?? '');
  } catch (error) {
    found.push(`${places.get('S3_LACKS') ?? file}: ${(error as Error).message}`);
  }
  if (remote && !values.get('S3_BUCKET')) found.push(`${file}: S3_SERVER=env needs S3_BUCKET`);
  const passedOn = lines.filter(({ key }) => isSettingKey(key) && !serverKeys.includes(key));
  const wrong = resolveSettings(passedOn).problems;
  found.push(...wrong.map(({ line, key, reason }) => `${file}:${line ?? ''} ${key ?? ''} ${reason}`));
  if (found.length > 0) throw usage(found.join('\n'), 'testing/README.md explains every key');
  const own = parsed as { readonly [Name in Key]: z.output<(typeof keys)[Name]> };
  return {
    file,
    server: own.S3_SERVER,
    lacks,
    runDirectory: resolve(repositoryRoot, own.HARNESS_RUN_DIR),
    imageBytes: own.IMAGE_SIZE,
    seed: own.SEED,
    seedFiles: own.SEED_FILES,
    seedBytes: own.SEED_SIZE,
    interruptBytes: own.INTERRUPT_SIZE,
    thawDelayMs: own.THAW_DELAY_MS,
    tool: Object.fromEntries([...values].filter(([key]) => !Object.hasOwn(keys, key))),
  };
}

/** One name for a file, however it was named: relative to the checkout, where the steps run, if it is in it. */
function fromRoot(path: string): string {
  const below = relative(repositoryRoot, resolve(path));
  return below.startsWith('..') ? resolve(path) : below;
}

function refusal({ key }: SettingLine, remote: boolean): readonly string[] {
  if (Object.hasOwn(keys, key)) return [];
  if (ownAffair.includes(key)) return [`${key} is set by the harness; remove the line`];
  if (!isSettingKey(key)) {
    return key.startsWith('AWS_')
      ? [
          `${key} does not belong into a file of the repository; set it in the environment, with S3_SERVER=env`,
        ]
      : [`${key} is neither a key of the harness nor a setting of the tool`];
  }
  return serverKeys.includes(key) && !remote ? [`${key} is for S3_SERVER=env only`] : [];
}

function usage(message: string, hint: string, cause?: unknown): ToolError {
  return new ToolError(message, { kind: 'usage', hint, ...(cause !== undefined && { cause }) });
}
