/** Finds and ends the processes that a dead run left, by a variable that all of its children inherit. */
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const endWithinMs = 5000;
const pollMs = 50;

/**
 * The ids of the processes whose environment holds exactly `mark`, such as `NAME=value`. This one and those that started it
 * are never among them.
 */
export async function processesWithMark(mark: string): Promise<number[]> {
  const own = await ownLine();
  const found: number[] = [];
  for (const entry of await readdir('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || own.includes(pid)) continue;
    // A process may end while it is looked at, and those of others cannot be read.
    const environment = await readFile(`/proc/${entry}/environ`, 'utf8').catch(() => '');
    if (environment.split('\0').includes(mark)) found.push(pid);
  }
  return found;
}

/** This process, its parent, and so on to the first. */
async function ownLine(): Promise<readonly number[]> {
  const line: number[] = [];
  for (let pid = process.pid; pid > 0; ) {
    line.push(pid);
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    pid = Number(/^PPid:\s*(\d+)$/m.exec(status)?.[1] ?? 0);
  }
  return line;
}

/**
 * Kills them and waits until they are gone.
 * @throws when one of them is still there after five seconds.
 */
export async function endProcessesWithMark(mark: string): Promise<void> {
  const deadline = Date.now() + endWithinMs;
  for (;;) {
    const pids = await processesWithMark(mark);
    if (pids.length === 0) return;
    if (Date.now() > deadline) throw new Error(`these processes do not end: ${pids.join(', ')}`);
    for (const pid of pids) sendSignal(pid, 'SIGKILL');
    await sleep(pollMs);
  }
}

/** Sends a signal to a process, or to a group (a negative id); one that has ended already is no error. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
