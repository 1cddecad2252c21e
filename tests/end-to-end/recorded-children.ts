/** What children get to see: every command that a script starts is recorded with its arguments and its environment. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { shell } from '../../testing/harness/processes/shell.ts';

const commands = ['bash', 'btrfs', 'findmnt', 'flock', 'lsattr', 'mkfifo', 'rsync', 'touch'] as const;

/** Commands that record how they were started, and then become the real ones. */
export interface RecordedChildren {
  /** The value of PATH with which they are found first. */
  readonly path: string;
  /** The names of commands that were started. */
  names(): Promise<ReadonlySet<string>>;
  /** Arguments and environments, as the kernel has them. */
  records(): Promise<string>;
}

/** Makes them in a directory; sampling `ps` would miss the short ones. */
export async function recordChildren(directory: string): Promise<RecordedChildren> {
  const bin = join(directory, 'bin');
  const log = join(directory, 'children');
  await mkdir(bin);
  await writeFile(log, '');
  for (const name of commands) {
    const { stdout } = await shell`command -v ${name}`;
    const script = `#!/bin/sh
{ printf 'started %s\\n' ${name}; cat /proc/$$/cmdline /proc/$$/environ; printf '\\n'; } >> ${log}
exec ${stdout.trim()} "$@"
`;
    await writeFile(join(bin, name), script, { mode: 0o755 });
  }
  const records = async () => (await readFile(log, 'utf8')).replaceAll('\0', ' ');
  return {
    path: `${bin}:${process.env.PATH}`,
    async names() {
      return new Set([...(await records()).matchAll(/^started (\w+)$/gm)].map(([, name = '']) => name));
    },
    records,
  };
}
