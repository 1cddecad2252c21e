/** Settings for one run: the file, then `--set`, checked as a whole. */
import { readFile, stat } from 'node:fs/promises';
import { ToolError } from '../core/errors.ts';
import { type SettingKey, secretVariables } from '../core/settings/keys.ts';
import {
  readSettingLine,
  readSettingLines,
  type SettingLine,
  type SettingProblem,
} from '../core/settings/lines.ts';
import { resolveSettings, type SettingValues } from '../core/settings/settings.ts';
import { codeOf, fileError } from '../edge/files.ts';

/** Which keys a script cannot do without. */
export type Needs = 'sources and bucket' | 'bucket';

/** Settings as they were read. They may be used only after `check` has returned. */
export interface LoadedSettings {
  readonly values: SettingValues;
  readonly warnings: readonly string[];
  /**
   * Hands the AWS SDK's variables to the SDK's own lookup, which reads the environment.
   * @throws ToolError (usage) with every problem on a line of its own: file, line, key, reason.
   */
  readonly check: (needs: Needs) => Promise<void>;
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
  const {
    values,
    warnings,
    aws,
    problems: wrong,
  } = resolveSettings([...linesOfEnvironment(), ...lines, ...overrides]);
  found.push(...wrong.map((problem) => describe(file, problem)));
  const check = async (needs: Needs) => {
    if (found.length === 0) found.push(...missingKeys(file, values, needs));
    if (found.length > 0) {
      throw new ToolError(found.join('\n'), { kind: 'usage', hint: 'config/README.md explains every key' });
    }
    if (secretVariables.some((key) => aws[key])) await refuseReadableByOthers(file);
    Object.assign(process.env, aws);
  };
  return { values, warnings, check };
}

/** Every user of this host can read the arguments of a process. */
function refuseSecret(parsed: ReturnType<typeof readSettingLine>): ReturnType<typeof readSettingLine> {
  const key = secretVariables.find((secret) => secret === parsed.key);
  if (key === undefined) return parsed;
  return { key, reason: 'is a secret, which others can see in the list of processes; put it into the file' };
}

/** Two of our keys are variables of the AWS SDK as well: from its environment they follow the same rules. */
function linesOfEnvironment(): SettingLine[] {
  const { AWS_REGION, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL } = process.env;
  const endpoint = AWS_ENDPOINT_URL_S3 ?? AWS_ENDPOINT_URL;
  return [
    ...(AWS_REGION ? [{ key: 'AWS_REGION', value: AWS_REGION, line: environmentLine }] : []),
    ...(endpoint ? [{ key: 'AWS_ENDPOINT_URL_S3', value: endpoint, line: environmentLine }] : []),
  ];
}

async function readSettingsFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    if (codeOf(cause) !== 'ENOENT') throw fileError(`cannot read the settings file ${file}`, cause);
    throw new ToolError(`the settings file ${file} does not exist`, {
      kind: 'usage',
      hint: 'copy config/backup.env.example to config/backup.env (mode 0600) and fill it in, or name another with CONFIG=',
      cause,
    });
  }
}

function describe(file: string, { line, key, reason }: SettingProblem): string {
  const place = line === undefined ? file : (places.get(line) ?? `${file}:${line}`);
  return key === undefined ? `${place}: the line ${reason}` : `${place}: ${key} ${reason}`;
}

function missingKeys(file: string, values: SettingValues, needs: Needs): string[] {
  const wanted: readonly SettingKey[] =
    needs === 'bucket' ? ['S3_BUCKET'] : ['SUBVOLUMES', 'SNAPSHOT_DIR', 'S3_BUCKET'];
  return wanted
    .filter((key) => values[key] === undefined)
    .map((key) => `${file}: ${key} is not set, but is required`);
}

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
