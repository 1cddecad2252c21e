/** The documents that are made from the table of settings, so that they cannot say anything else. */
import { notesOf, type SettingKey, settingKeys } from './keys.ts';

const documentedKeys = settingKeys.map((key) => ({ key, ...notesOf(key) }));

const required: readonly SettingKey[] = ['SUBVOLUMES', 'SNAPSHOT_DIR', 'S3_BUCKET'];

/** config/backup.env.example: every key, with what must be filled in left open and the rest as comments. */
export function exampleSettings(): string {
  const lines = [
    '# Settings of btrfs-to-s3: KEY=VALUE, blank lines, and comments on lines of their own.',
    '# Copy to config/backup.env (mode 0600), fill in the lines without "#", change others as you like.',
    '# A "#" inside a value is part of the value. config/README.md says more about each key.',
  ];
  let section = '';
  for (const { key, preset, about, example, section: name } of documentedKeys) {
    if (name !== section) lines.push('', `## ${name}`);
    section = name;
    lines.push('', `# ${about}`);
    lines.push(`${required.includes(key) ? '' : '#'}${key}=${preset || example || ''}`);
    if (key === 'AWS_ENDPOINT_URL_S3') lines.push(...credentialLines);
  }
  return `${lines.join('\n')}\n`;
}

const credentialLines = [
  '',
  '# credentials, unless the environment, an AWS profile (AWS_PROFILE) or the machine gives them',
  '#AWS_ACCESS_KEY_ID=',
  '#AWS_SECRET_ACCESS_KEY=',
];

/** The table of config/README.md. */
export function settingsTable(): string {
  const rows: string[] = [];
  let section = '';
  for (const { key, preset, about, section: name } of documentedKeys) {
    if (name !== section) rows.push(`| **${name}** | | |`);
    section = name;
    const fallback = required.includes(key)
      ? 'required'
      : preset === undefined
        ? ''
        : preset === ''
          ? 'empty'
          : `\`${preset}\``;
    rows.push(`| \`${key}\` | ${fallback} | ${about} |`);
  }
  return ['| key | default | meaning |', '|---|---|---|', ...rows].join('\n');
}
