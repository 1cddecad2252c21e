/** What is done when everything is answered: a key, a directory, a bucket, and the settings file at the end. What was made before a failure goes. */
import { mkdir, readFile, rm, rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ToolError } from '../../core/errors.ts';
import { settingsText } from '../../core/settings/settings-text.ts';
import { makeIdentityFile } from '../../edge/codec/make-identity.ts';
import { codeOf, fileError, writeFlushed } from '../../edge/files/files.ts';
import { makeBucket } from '../../edge/s3/bucket/make-bucket.ts';
import type { Bucket } from '../../edge/s3/s3-client.ts';
import type { Answers } from './answers.ts';

/** What has to be made. */
export interface ToMake {
  readonly config: string;
  readonly snapshotDirectory: string | undefined;
  readonly identityFile: string | undefined;
  /** The bucket that is not there yet. */
  readonly bucket: Bucket | undefined;
}

/** Makes all of it. @throws ToolError; nothing of it is left then, but a bucket */
export async function makeAll(
  answers: Answers,
  { config, snapshotDirectory, identityFile, bucket }: ToMake,
): Promise<void> {
  const undos: (() => Promise<unknown>)[] = [];
  const say = (text: string) => answers.prompter?.say(text);
  const notes: string[] = [];
  try {
    if (identityFile !== undefined) {
      answers.keep('ENCRYPT_TO', await makeIdentityFile(identityFile));
      undos.push(() => rm(identityFile));
      await demandCopy(answers, identityFile);
      notes.push(`Where backups are restored or drilled: DECRYPT_WITH=${identityFile}`);
    }
    if (snapshotDirectory !== undefined) {
      await makePrivate(snapshotDirectory);
      undos.push(() => rmdir(snapshotDirectory));
      say(`made ${snapshotDirectory}, for root alone`);
    }
    await writeNew(config, settingsText(answers.values, notes));
    undos.push(() => rm(config));
    if (bucket) {
      for (const line of await makeBucket(bucket)) say(line);
      say(`made bucket ${bucket.name}`);
    }
  } catch (error) {
    // Where this fails too, the first failure is the one to report.
    for (const undo of undos.reverse()) await undo().catch(() => undefined);
    throw error;
  }
}

/** Shows a new key, and goes on when there is a copy of it elsewhere. @throws ToolError (interrupted) */
async function demandCopy({ prompter }: Answers, path: string): Promise<void> {
  if (!prompter) return;
  const key = (await readFile(path, 'utf8')).trim();
  prompter.say(`\nThis is the key, in ${path}:\n\n${key}\n`);
  prompter.say(
    'Keep a copy away from this machine: in a password manager, or on paper. Without it no backup can ever be read again, and this disk may be what dies.',
  );
  const check = (answer: string) =>
    answer === 'kept'
      ? undefined
      : 'without a copy elsewhere this would be no backup; Ctrl-C ends without settings';
  await prompter.ask({ text: 'Write "kept" when a copy is somewhere else', check });
}

async function makePrivate(directory: string): Promise<void> {
  try {
    await mkdir(dirname(directory), { recursive: true });
    await mkdir(directory, { mode: 0o700 });
  } catch (cause) {
    const hint = 'choose another SNAPSHOT_DIR';
    throw fileError(`cannot make ${directory}`, cause, hint, `make room there, or ${hint}`);
  }
}

/** Never over a file that is there. */
async function writeNew(path: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFlushed(path, text);
  } catch (cause) {
    if (codeOf(cause) === 'EEXIST') throw existing(path);
    const fullHint = 'make room there, or name a file on another disk with CONFIG=, and run again';
    throw fileError(`cannot write ${path}`, cause, undefined, fullHint);
  }
}

/** The error for a settings file that is there already. */
export function existing(path: string): ToolError {
  return new ToolError(`${path} exists already, and is not written over`, {
    kind: 'usage',
    hint: 'make doctor looks at it; CONFIG= names another file',
  });
}
