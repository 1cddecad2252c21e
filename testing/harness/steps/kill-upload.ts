/** Kills an upload in the middle, as a power cut would: no signal that could be handled. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { processesWithMark, sendSignal } from '../processes/marked-processes.ts';
import type { Places } from '../runner/places.ts';
import type { Step } from '../runner/run-step.ts';
import { markOf, tryMake } from '../runner/tool.ts';

const pollMs = 2;
const endWithinMs = 10_000;
const killedBySigkill = 137;
/** The process of a whole backup, and not the shell that waits for it. */
const uploading = /^node\0.*\0scripts\/backup\.ts\0/s;

/** One line of the tool's journal, as far as the harness reads it. */
export interface JournalLine {
  readonly event: string;
  readonly index?: number;
  readonly number?: number;
  readonly key?: string;
}

/** The journal of a subvolume's upload; empty when there is none. A torn last line is left out, as the tool does. */
export async function readJournal({ toolRun }: Places, subvolume: string): Promise<readonly JournalLine[]> {
  const path = join(toolRun, subvolume, 'upload.jsonl');
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

/**
 * Runs `make backup` and kills the upload of `subvolume` with SIGKILL once a chunk is complete and another one has parts.
 * @returns the journal as it was left, or undefined when the backup was done before it could be killed.
 * @throws when it ended by itself and failed, or when a process of the upload lives on.
 */
export async function killUpload(
  step: Step<string>,
  subvolume: string,
): Promise<readonly JournalLine[] | undefined> {
  const { places, signal } = step;
  const backup = tryMake(step, 'backup');
  let ended = false;
  const outcome = backup.finally(() => {
    ended = true;
  });
  while (!ended && !(await isInTheMiddle(places, subvolume))) await sleep(pollMs);
  const victims = ended ? [] : await processesOf(places, uploading);
  for (const pid of victims) sendSignal(pid, 'SIGKILL');
  const { exitCode } = await outcome;
  signal.throwIfAborted();
  await waitForEnd(places);
  if (exitCode === 0) return undefined;
  if (victims.length > 0 && exitCode === killedBySigkill) return readJournal(places, subvolume);
  throw new Error(`the backup was not killed, and ended with exit code ${exitCode}: see the log`);
}

async function isInTheMiddle(places: Places, subvolume: string): Promise<boolean> {
  const events = await readJournal(places, subvolume);
  const complete = new Set(
    events.filter(({ event }) => event === 'chunk-completed').map(({ index }) => index),
  );
  return (
    complete.size > 0 && events.some(({ event, index }) => event === 'part-stored' && !complete.has(index))
  );
}

/** Ids of the processes of the run whose command line, with a NUL behind each argument, is such a one. */
async function processesOf(places: Places, pattern: RegExp): Promise<readonly number[]> {
  const found: number[] = [];
  for (const pid of await processesWithMark(markOf(places))) {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (pattern.test(commandLine)) found.push(pid);
  }
  return found;
}

/** `btrfs send` has lost its reader, and must end by itself. */
async function waitForEnd(places: Places): Promise<void> {
  const deadline = Date.now() + endWithinMs;
  for (;;) {
    const alive = [
      ...(await processesOf(places, uploading)),
      ...(await processesOf(places, /^btrfs\0send\0/)),
    ];
    if (alive.length === 0) return;
    if (Date.now() > deadline) throw new Error(`the killed upload left processes: ${alive.join(', ')}`);
    await sleep(50);
  }
}
