/** What a script said on its log, and which setting it asked for. */

/** The end of a script. */
export interface Said {
  readonly isDone: boolean;
  /** Of the error that it ended with, with its hint. */
  readonly line: string;
  /** What was found out about the server. */
  readonly notices: readonly string[];
}

interface LogLine {
  readonly level?: string | number;
  readonly msg?: string;
  readonly hint?: string;
}

/** Reads the JSON lines of a log; other lines are passed over. */
export function saidOn(exitCode: number, log: string): Said {
  const lines = log.split('\n').flatMap((line): LogLine[] => {
    try {
      return line.startsWith('{') ? [JSON.parse(line) as LogLine] : [];
    } catch {
      return [];
    }
  });
  const isOf =
    (...levels: readonly (string | number)[]) =>
    ({ level = '' }: LogLine) =>
      levels.includes(level);
  const error = lines.filter(isOf('error', 50)).at(-1);
  const text = error
    ? [error.msg, error.hint].filter(Boolean).join('; ')
    : (log.trim().split('\n').at(-1) ?? '');
  const noted = lines.filter(
    (line) => isOf('info', 30, 'warn', 40)(line) && line.msg?.startsWith('the server ') === true,
  );
  return {
    isDone: exitCode === 0,
    line: withoutPlace(text),
    notices: noted.map(({ msg = '' }) => withoutPlace(msg)),
  };
}

/** Ports and times differ from run to run. */
function withoutPlace(text: string): string {
  return text
    .replaceAll(/ \(bucket backups, http:[^)]*\)/g, '')
    .replaceAll(/http:\/\/[\w.]+:\d+/g, 'SERVER')
    .replaceAll(/\d{8}T\d{6}Z/g, 'TIME')
    .replaceAll(/\s+/g, ' ');
}

/** The settings of the trial that messages can ask for, by the words that do. */
const askedFor: readonly (readonly [RegExp, string])[] = [
  [/set (SSE=none|S3_ADDRESSING=virtual|S3_CHECKSUMS=md5)/, '$1'],
  [/choose another with STORAGE_CLASS_CHUNKS/, 'STORAGE_CLASS_CHUNKS=STANDARD'],
  [/lower CHUNK_SIZE/, 'CHUNK_SIZE=10MiB'],
];

/** The setting that a line asks for, as the settings file takes it; undefined where it asks for none. */
export function settingAskedFor(line: string): string | undefined {
  for (const [words, setting] of askedFor) {
    const match = words.exec(line);
    if (match) return setting.replace('$1', match[1] ?? '');
  }
  return undefined;
}
