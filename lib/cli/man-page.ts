/** btrfs-to-s3(1), made from the texts that `make help` and `--help` print. */

import { TOOL } from '../core/format/tool.ts';
import { notesOf, settingKeys } from '../core/settings/keys.ts';
import { exitCodes } from './options/help.ts';

/** The page, as roff (man(7)). @param makefile its text: targets with their `##` lines, in sections that begin with `##@` */
export function manPage(makefile: string, checkout: string): string {
  return [
    `.TH BTRFS\\-TO\\-S3 1 "" "${TOOL.name} ${TOOL.version}" "User Commands"`,
    '.SH NAME',
    'btrfs\\-to\\-s3 \\- back up Btrfs subvolumes to S3, and restore them',
    '.SH SYNOPSIS',
    `.B make \\-C ${escaped(checkout)}`,
    '.I target',
    '.RI [ VARIABLE = value \\ ...]',
    '.SH DESCRIPTION',
    escaped(
      'A backup is a read-only snapshot, sent with btrfs send (full, or incremental to the last backup), cut into chunk objects in S3, with a manifest that holds the hash of every part. All of it is done by targets of make.',
    ),
    ...targetSections(makefile),
    '.SH VARIABLES OF ALL TARGETS',
    ...item('CONFIG=file', 'the settings (default config/backup.env)'),
    ...item('SET="KEY=VALUE ..."', 'settings that win over the file'),
    ...item('JSON=1', 'a document in place of text (docs/json.md)'),
    '.SH SETTINGS',
    'KEY=VALUE, one on a line of the settings file; config/README.md explains more.',
    ...settingKeys.flatMap((key) => {
      const { preset, about } = notesOf(key);
      return item(`${key}${preset ? `=${preset}` : ''}`, about);
    }),
    '.SH EXIT STATUS',
    'make exits 2 for each code but 0, and prints it.',
    ...exitCodes
      .split('\n')
      .slice(1)
      .flatMap((line) => {
        const [, code = '', meaning = ''] = /^ {2}(\S.*?) {2}(.*)$/.exec(line) ?? [];
        return item(code, meaning);
      }),
    '.SH FILES',
    ...item(checkout, 'the program, with its documents in docs/'),
    ...item('/etc/btrfs-to-s3.env, /etc/btrfs-to-s3/INSTANCE.env', 'settings of the systemd units'),
    '.SH SEE ALSO',
    '.BR btrfs\\-send (8),',
    '.BR btrfs\\-receive (8),',
    '.BR systemctl (1)',
    '',
  ].join('\n');
}

/** A section for each of the Makefile's, but for what is there to develop. */
function targetSections(makefile: string): readonly string[] {
  const lines: string[] = [];
  for (const line of makefile.split('\n')) {
    const [, section] = /^##@ (.*)$/.exec(line) ?? [];
    if (section !== undefined) {
      if (/develop/i.test(section)) break;
      lines.push(`.SH ${escaped(section.toUpperCase())}`);
    }
    const [, target, about = ''] = /^([a-z-]+):.*?## (.*)$/.exec(line) ?? [];
    if (target !== undefined) lines.push(...item(`make ${target}`, about));
  }
  return lines;
}

function item(tag: string, text: string): readonly string[] {
  return ['.TP', `.B ${escaped(tag)}`, escaped(text)];
}

/** What roff would read as its own: backslashes, hyphens that have to stay as they are, and a dot or a quote at the beginning. */
function escaped(text: string): string {
  const plain = text.replaceAll('\\', '\\e').replaceAll('-', '\\-');
  return /^[.']/.test(plain) ? `\\&${plain}` : plain;
}
