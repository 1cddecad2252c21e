/** Root, for those who are not: the same command line again, through `sudo -n`, which never asks for a password. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants, homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { ToolError } from '../../../lib/core/errors.ts';

/** What sudo would drop and a step needs: what names the server and opens it, and where commands are found. */
const kept = /^(AWS_|S3_|BTRFS_TO_S3_|PATH$|NO_COLOR$)/;

/** True when this process may mount filesystems already. */
export function isRoot(): boolean {
  return process.geteuid?.() === 0;
}

/**
 * Runs this process's command line as root and gives its exit code.
 * @throws ToolError that names the refused command and how to allow it.
 */
export async function runAsRoot(): Promise<number> {
  // Root has a home of its own; the person's profiles are in this one.
  const profiles = {
    AWS_CONFIG_FILE: join(homedir(), '.aws/config'),
    AWS_SHARED_CREDENTIALS_FILE: join(homedir(), '.aws/credentials'),
  };
  const env = { ...profiles, ...process.env };
  // Names only: the values are secrets, and an argument list can be read by anybody.
  const names = Object.keys(env).filter((name) => kept.test(name));
  const sudo = ['-n', `--preserve-env=${names.join(',')}`];
  await demandSudo([...sudo, process.execPath, '--version']);
  const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const child = spawn('sudo', [...sudo, ...again], { stdio: 'inherit', env });
  // The terminal sends its signals to sudo as well, and a kill of this process is passed on.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  const [exitCode, signal]: [number | null, NodeJS.Signals | null] = (await once(child, 'exit')) as never;
  return exitCode ?? 128 + constants.signals[signal ?? 'SIGTERM'];
}

async function demandSudo(args: readonly string[]): Promise<void> {
  const child = spawn('sudo', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const complaint = text(child.stderr).catch(() => '');
  const refused = (why: string) =>
    new ToolError(
      `the harness needs root to mount a filesystem, and "sudo -n ${process.execPath}" was refused: ${why}`,
      {
        hint: `run it as root, or allow it with this line in /etc/sudoers.d/btrfs-to-s3: ${userInfo().username} ALL=(root) NOPASSWD:SETENV: ${process.execPath}`,
      },
    );
  const [exitCode] = await once(child, 'close').catch((error: Error) => {
    throw refused(error.message);
  });
  if (exitCode !== 0) throw refused((await complaint).trim().split('\n')[0] || `exit code ${exitCode}`);
}
