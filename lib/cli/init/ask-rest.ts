/** Encryption, and how often. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { pathExists } from '../../edge/files/files.ts';
import type { Answers } from './answers.ts';

/** Asks whether backups are encrypted. @returns where a key has to be made */
export async function askEncryption(answers: Answers): Promise<string | undefined> {
  const { prompter } = answers;
  if (!prompter || answers.given('ENCRYPT_TO') !== undefined) return undefined;
  prompter.say(
    'Without encryption whoever can read the bucket can read your files. With it, a backup whose key is lost is lost.',
  );
  if (!(await prompter.confirm('Encrypt backups with age before they leave this host?', false)))
    return undefined;
  const hasKey = await prompter.confirm('Do you have an age or SSH key for that?', false);
  if (hasKey) {
    await answers.ask({
      key: 'ENCRYPT_TO',
      text: 'Its public key (age1… or ssh-ed25519 …), or several, with commas',
    });
    return undefined;
  }
  return prompter.ask({
    text: 'File for a new key, which only root can read',
    preset: join(homedir(), 'btrfs-to-s3.key'),
    check: async (answer) => {
      if (!answer.startsWith('/')) return 'must be an absolute path';
      return (await pathExists(answer)) ? 'exists already: a key is never written over' : undefined;
    },
  });
}

/** Asks how often, which matters to timers alone. */
export async function askHowOften(answers: Answers): Promise<void> {
  await answers.ask({
    key: 'INCREMENTAL_EVERY',
    text: 'How often the timer takes an incremental backup, such as 1d or 7d',
    preset: '7d',
  });
  await answers.ask({
    key: 'FULL_EVERY',
    text: 'How often a full backup is due, which sends everything again',
    preset: '180d',
  });
}
