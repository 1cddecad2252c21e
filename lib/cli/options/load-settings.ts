/** Settings for one run: the file, then `--set`, checked as a whole. */
import { isUtf8 } from 'node:buffer';
import { readFile, stat } from 'node:fs/promises';
import { ToolError } from '../../core/errors.ts';
import { printable } from '../../core/printable.ts';
import { type SettingKey, secretVariables } from '../../core/settings/keys.ts';
import {
  readSettingLine,
  readSettingLines,
  type SettingLine,
  type SettingProblem,
} from '../../core/settings/lines.ts';
import { resolveSettings, type SettingValues } from '../../core/settings/settings.ts';
import { codeOf, fileError } from '../../edge/files/files.ts';
import { handToSdk } from './sdk-environment.ts';

/** Far more than a file of settings needs. */
const maxFileBytes = 2 ** 20;

/** As many problems as are mended in one go; a file that is none of ours has thousands. */
const maxProblems = 20;

/** Which keys a script cannot do without. */
export type Needs = 'sources and bucket' | 'bucket';

/** Settings as they were read. They may be used only after `check` has returned. */
export interface LoadedSettings {
  readonly values: SettingValues;
  /**
   * Hands the AWS SDK's variables to the SDK's own lookup, which reads the environment.
   * @returns lines of warning
   * @throws ToolError (usage) with every problem on a line of its own: file, line, key, reason.
   */
  readonly check: (needs: Needs) => Promise<readonly string[]>;
}

/**
 * Reads the settings file and the `--set` options.
 * @throws ToolError (usage) when the file cannot be read.
 */
export async function loadSettings(file: string, sets: readonly string[]): Promise<LoadedSettings> {
  const { lines, problems } = readSettingLines(await readSettingsFile(file));
  const found = problems.map((problem) => describe(file, problem));
  const overrides = sets.flatMap((text) => {
    const parsed = refuseSecret(readSettingLine(text.trim()));
    if (!('reason' in parsed)) return [{ ...parsed, line: 0 }];
    // Never the text itself: it may be a secret that was mistyped.
    found.push(describe(file, { line: 0, ...parsed }));
    return [];
  });
  const { values, aws, problems: wrong } = resolveSettings([...linesOfEnvironment(), ...lines, ...overrides]);
  found.push(...wrong.map((problem) => describe(file, problem)));
  const check = async (needs: Needs) => {
    if (found.length === 0) found.push(...missingKeys(file, values, needs));
    if (found.length > 0) {
      throw new ToolError(firstOf(found).join('\n'), {
        kind: 'usage',
        isList: true,
        hint: 'config/README.md explains every key',
      });
    }
    if (lines.some(isSecret)) await refuseReadableByOthers(file);
    if (needs === 'sources and bucket') await checkEncodingAndSigning(values);
    return handToSdk(aws, file, process.env);
  };
  return { values, check };
}

/** A secret by its key, or a proxy's address with a password in it. Empty it is none. */
function isSecret({ key, value }: { readonly key: string; readonly value: string }): boolean {
  if (value === '') return false;
  if (key === 'HTTPS_PROXY') return value.includes('@');
  // Who knows the address can ping it, and a command may have a password in it.
  if (key === 'NOTIFY_URL' || key === 'NOTIFY_COMMAND') return true;
  return secretVariables.some((secret) => secret === key);
}

/** What is needed for this is loaded only where it is asked for. */
async function checkEncodingAndSigning(values: SettingValues): Promise<void> {
  const { COMPRESS, ENCRYPT_TO, SIGN_WITH, VERIFY_SIGNERS } = values;
  if (COMPRESS === 'none' && ENCRYPT_TO.length === 0 && SIGN_WITH === '' && VERIFY_SIGNERS === '') return;
  const { checkEncoding, checkSigning } = await import('./check-encoding.ts');
  await checkEncoding(values);
  await checkSigning(values);
}

/** Every user of this host can read the arguments of a process. */
function refuseSecret(parsed: ReturnType<typeof readSettingLine>): ReturnType<typeof readSettingLine> {
  if ('reason' in parsed || !isSecret(parsed)) return parsed;
  const { key } = parsed;
  return { key, reason: 'is a secret, which others can see in the list of processes; put it into the file' };
}

/** Some of our keys are variables of the AWS SDK, or of curl, as well: from the environment they follow the same rules. */
function linesOfEnvironment(): SettingLine[] {
  const { env } = process;
  const endpoint = env.AWS_ENDPOINT_URL_S3 ?? env.AWS_ENDPOINT_URL;
  const found: Partial<Record<SettingKey, string | undefined>> = {
    AWS_REGION: env.AWS_REGION,
    AWS_ENDPOINT_URL_S3: env.AWS_IGNORE_CONFIGURED_ENDPOINT_URLS === 'true' ? undefined : endpoint,
    HTTPS_PROXY: env.https_proxy || env.HTTPS_PROXY,
    NO_PROXY: env.no_proxy || env.NO_PROXY,
    AWS_CA_BUNDLE: env.AWS_CA_BUNDLE,
  };
  return Object.entries(found).flatMap(([key, value]) =>
    value ? [{ key, value, line: environmentLine }] : [],
  );
}

async function readSettingsFile(file: string): Promise<string> {
  try {
    const status = await stat(file);
    // A FIFO would keep us waiting, and a device may have no end.
    if (!status.isFile()) throw unusable(file, 'is not a regular file');
    if (status.size > maxFileBytes) throw unusable(file, `has more than ${maxFileBytes} bytes`);
    const bytes = await readFile(file);
    const text = bytes.toString('utf8');
    if (isUtf8(bytes)) return text;
    const line = text.slice(0, text.indexOf('\uFFFD')).split('\n').length;
    throw unusable(
      `${file}:${line}`,
      'is not UTF-8 text; paths with other bytes cannot be named in settings',
    );
  } catch (cause) {
    if (cause instanceof ToolError) throw cause;
    if (codeOf(cause) !== 'ENOENT') throw fileError(`cannot read the settings file ${file}`, cause);
    throw new ToolError(`the settings file ${file} does not exist`, {
      kind: 'usage',
      hint: 'make init writes one (or copy config/backup.env.example, mode 0600); CONFIG= names another',
      cause,
    });
  }
}

function unusable(place: string, problem: string): ToolError {
  return new ToolError(`the settings file ${place} ${problem}`, {
    kind: 'usage',
    hint: 'config/backup.env.example shows what one looks like; CONFIG= names it',
  });
}

function firstOf(problems: readonly string[]): readonly string[] {
  if (problems.length <= maxProblems) return problems;
  return [...problems.slice(0, maxProblems), `and ${problems.length - maxProblems} more problems`];
}

/** On one line, and not longer than a person reads, whatever stands in the file. */
function describe(file: string, problem: SettingProblem): string {
  const text = printable(problemText(file, problem));
  return text.length <= maxProblemLength ? text : `${text.slice(0, maxProblemLength)}…`;
}

function problemText(file: string, { line, key, reason }: SettingProblem): string {
  const place = line === undefined ? file : (places.get(line) ?? `${file}:${line}`);
  return key === undefined ? `${place}: the line ${reason}` : `${place}: ${key} ${reason}`;
}

function missingKeys(file: string, values: SettingValues, needs: Needs): string[] {
  const takesSnapshots = values.SUBVOLUMES?.some((subvolume) => 'path' in subvolume) ?? true;
  const wanted: readonly SettingKey[] =
    needs === 'bucket'
      ? ['S3_BUCKET']
      : ['SUBVOLUMES', ...(takesSnapshots ? (['SNAPSHOT_DIR'] as const) : []), 'S3_BUCKET'];
  return wanted
    .filter((key) => values[key] === undefined)
    .map((key) => `${file}: ${key} is not set, but is required`);
}

const maxProblemLength = 1000;

const environmentLine = -1;
const places: ReadonlyMap<number, string> = new Map([
  [0, '--set'],
  [environmentLine, 'the environment'],
]);

async function refuseReadableByOthers(file: string): Promise<void> {
  const { mode } = await stat(file);
  if ((mode & 0o077) === 0) return;
  throw new ToolError(`${file} holds a secret, but others can read it (mode ${(mode & 0o777).toString(8)})`, {
    kind: 'usage',
    hint: `run: chmod 600 ${file}`,
  });
}
