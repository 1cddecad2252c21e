/** docs/providers.md: the part of it that a run of all providers writes. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../test-directory.ts';
import { type ProviderOutcome, steps } from './journey.ts';

const [begin, end] = ['<!-- begin: make providers-table', '<!-- end -->'];

/** Of the source of what is played, which a bundle changes no word of: a table that was made of other habits is out of date. */
export function habitsDigest(): string {
  const source = readFileSync(join(repositoryRoot, 'testing/s3-server/habits/providers.ts'));
  return createHash('sha256').update(source).digest('hex').slice(0, 12);
}

/** The lines between the marks. */
export function renderTable(outcomes: readonly ProviderOutcome[]): string {
  const notices = [...new Set(outcomes.flatMap((outcome) => outcome.notices))];
  const rows = outcomes.map(({ provider, settings, failures, notices: noted }) => {
    const cells = [
      `\`${provider}\``,
      settings.map(({ setting }) => `\`${setting}\``).join(' '),
      ...steps.map((step) => answer(failures, step)),
      noted.map((notice) => notices.indexOf(notice) + 1).join(', '),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  const sayings = outcomes.flatMap(({ provider, settings, failures }) => [
    ...settings.map(({ setting, line }) => `- \`${provider}\` without \`${setting}\`: ${quoted(line)}`),
    ...steps.flatMap((step) =>
      failures[step] ? [`- \`${provider}\`, ${step}: ${quoted(failures[step])}`] : [],
    ),
  ]);
  return [
    `| played | settings | ${steps.join(' | ')} | notes |`,
    `| --- | --- | ${steps.map(() => '---').join(' | ')} | --- |`,
    ...rows,
    '',
    'The notes are what a backup says there:',
    '',
    ...notices.map((notice, index) => `${index + 1}. ${quoted(notice)}`),
    '',
    'Without a setting that is needed, the backup ends with the setting to change:',
    '',
    ...sayings,
  ].join('\n');
}

function answer(failures: ProviderOutcome['failures'], step: (typeof steps)[number]): string {
  if (failures.backup !== undefined && step !== 'backup') return '';
  return failures[step] === undefined ? 'yes' : 'no';
}

function quoted(line: string): string {
  return `"${line.replaceAll('|', '\\|')}"`;
}

/** The document with a new table. @throws when it has no marks */
export function withTable(document: string, outcomes: readonly ProviderOutcome[]): string {
  const from = document.indexOf(begin);
  const to = document.indexOf(end);
  if (from < 0 || to < from)
    throw new Error(`docs/providers.md has no line ${begin} … and no ${end} behind it`);
  const block = `${begin}, habits ${habitsDigest()} -->\n\n${renderTable(outcomes)}\n\n`;
  return document.slice(0, from) + block + document.slice(to);
}
