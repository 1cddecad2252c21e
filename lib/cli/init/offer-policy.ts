/** A policy of IAM for the credentials of this host, with its bucket and prefix filled in. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileError } from '../../edge/files/files.ts';
import type { Answers } from './answers.ts';

/** Shows the policy of the role `backup` where it is wanted. @throws ToolError when it cannot be read */
export async function offerPolicy({ prompter, values }: Answers, checkout: string): Promise<void> {
  if (!prompter) return;
  const isWanted = await prompter.confirm(
    'Show a policy that lets these credentials do what backups need, and delete nothing?',
    false,
  );
  if (!isWanted) return;
  const path = join(checkout, 'config/iam/backup.json');
  const template = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw fileError(`cannot read ${path}`, cause);
  });
  const filled = template
    .replaceAll('BUCKET', () => values.get('S3_BUCKET') ?? 'BUCKET')
    .replaceAll('PREFIX', () => values.get('S3_PREFIX') ?? 'PREFIX');
  prompter.say(`\n${filled}`);
  prompter.say(
    'In the IAM console: Users, the user of these credentials, Add permissions, Create inline policy, JSON.\n',
  );
}
