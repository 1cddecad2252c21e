/** What `--help` prints. */
import { notesOf, settingKeys } from '../../core/settings/keys.ts';

/** One option of a script, beside those that all have. */
export interface OptionDefinition {
  readonly type: 'string' | 'boolean';
  readonly about: string;
  /** Shown for the value, such as NAME; only for strings. */
  readonly value?: string;
}

/** The option that selects from SUBVOLUMES. */
export const subvolumeOption = {
  type: 'string',
  value: 'NAME',
  about: 'only this one, or NAME,NAME (default: all of SUBVOLUMES)',
} as const satisfies OptionDefinition;

/** Options that every script has. */
export const commonOptions = {
  config: { type: 'string', value: 'FILE', about: 'settings file (default: config/backup.env)' },
  set: { type: 'string', value: 'KEY=VALUE', about: 'a setting that wins over the file; can be repeated' },
  sets: {
    type: 'string',
    value: 'PAIRS',
    about: 'several settings, separated by blanks (what make passes for SET=)',
  },
  json: { type: 'boolean', about: 'print the result as one JSON document' },
  help: { type: 'boolean', about: 'print this and do nothing' },
} as const satisfies Record<string, OptionDefinition>;

/** What all scripts exit with. */
export const exitCodes = `Exit codes
  0  done
  1  failed; the last line says what, where and what to do
  2  bad settings or usage; nothing was done
  3  another run holds the lock
  4  damage was found in the bucket
  5  archived chunks are not thawed yet; come back later
  130, 143, 129  stopped by SIGINT, SIGTERM, SIGHUP; run again to continue
  137  killed, most often by the kernel when memory ran out: journalctl -k says so; lower PART_SIZE or CONCURRENCY`;

/** The help of one script. */
export function helpText(
  file: string,
  summary: string,
  options: Readonly<Record<string, OptionDefinition>>,
): string {
  const lines = Object.entries({ ...options, ...commonOptions }).map(([name, option]) => {
    const usage = `--${name}${option.type === 'string' ? ` ${option.value ?? 'VALUE'}` : ''}`;
    return `  ${usage.padEnd(22)} ${option.about}`;
  });
  return `Usage: node --import tsx scripts/${file} [options]

${summary}

Options
${lines.join('\n')}

${exitCodes}

Settings (KEY=VALUE in the settings file or with --set; config/README.md explains them)
${settingLines().join('\n')}`;
}

function settingLines(): string[] {
  return settingKeys.map((key) => {
    const { preset } = notesOf(key);
    const remark = preset === undefined ? '' : `default ${preset}`;
    return `  ${key.padEnd(22)} ${remark}`.trimEnd();
  });
}
