/**
 * What the kernel says about mounts and about the processes that keep one busy. Reads /proc only, changes
 * nothing.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';

/** Decodes the octal escapes (`\040` for a space) of /proc/self/mountinfo; see proc_pid_mountinfo(5). */
function decodeMountPath(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_match, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}

/**
 * The mount points strictly below `directory`, newest first, which is the order in which they can be
 * unmounted. `directory` must be a real path, because the kernel resolves symlinks before it records a mount.
 */
export async function mountPointsBelow(directory: string): Promise<string[]> {
  const table = await readFile('/proc/self/mountinfo', 'latin1');
  return table
    .split('\n')
    .map((line) => Buffer.from(decodeMountPath(line.split(' ')[4] ?? ''), 'latin1').toString())
    .filter((mountPoint) => mountPoint.startsWith(`${directory}/`))
    .reverse();
}

/**
 * Runs `read` and answers null where the process or file descriptor ended meanwhile (ENOENT, ESRCH) or cannot
 * be looked at (EACCES, EPERM): /proc changes while it is read, so that is no failure.
 */
async function unlessGone<T>(read: Promise<T>): Promise<T | null> {
  try {
    return await read;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(code)) return null;
    throw error;
  }
}

async function holds(pid: string, directory: string): Promise<boolean> {
  const files = (await unlessGone(readdir(`/proc/${pid}/fd`))) ?? [];
  const mappings = (await unlessGone(readdir(`/proc/${pid}/map_files`))) ?? [];
  const links = [
    'cwd',
    'root',
    'exe',
    ...files.map((f) => `fd/${f}`),
    ...mappings.map((m) => `map_files/${m}`),
  ];
  for (const link of links) {
    const target = await unlessGone(readlink(`/proc/${pid}/${link}`));
    if (target === directory || target?.startsWith(`${directory}/`)) return true;
  }
  return false;
}

/**
 * Names the processes that keep `directory` busy by an open file, a mapping, their working or root directory,
 * as `sleep (pid 123)`. Empty when the kernel itself is the holder (a swap file, a loop device, a mount).
 */
export async function processesHolding(directory: string): Promise<string[]> {
  const holders: string[] = [];
  for (const pid of (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))) {
    if (!(await holds(pid, directory))) continue;
    const command = await unlessGone(readFile(`/proc/${pid}/comm`, 'utf8'));
    holders.push(`${command?.trim() ?? 'unknown'} (pid ${pid})`);
  }
  return holders;
}

/**
 * The start time of a process in clock ticks since boot (field 22 of /proc/PID/stat, proc_pid_stat(5)), or null
 * when there is none. With the pid it identifies a process for good, as the pid alone is used again. A zombie
 * counts as gone: it holds nothing any more, and its parent may never collect it.
 */
export async function processStartTicks(pid: number): Promise<string | null> {
  const stat = await unlessGone(readFile(`/proc/${pid}/stat`, 'latin1'));
  // The command name stands in parentheses and may hold anything, so fields are counted after the last one.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
  return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null);
}
