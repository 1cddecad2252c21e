/** A server for as long as one command runs, which finds it by environment variables. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { createWorkspace, sweepDeadWorkspaces } from '../workspace.ts';
import { serverVariables } from './server-variables.ts';
import { type ServerName, serverNames, startServer } from './start-server.ts';

/** Which server, for which command, and what stops both. */
export interface WithServerOptions {
  readonly server: ServerName;
  readonly command: string;
  readonly args: readonly string[];
  /** What the command sees beside the variables of the server. */
  readonly environment: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  /** Called with what takes long. */
  readonly say: (line: string) => void;
}

const workspaceKind = 's3-server';

/** How long a command that is asked to stop may take. */
const graceMs = 10_000;

/**
 * Starts the server, runs the command, and stops the server whatever happens. What a killed run left is removed first.
 * @returns the command's exit code, as shells count.
 * @throws when the server or the command does not start, and the signal's reason.
 */
export async function withServer(options: WithServerOptions): Promise<number> {
  const { server: name, signal, say } = options;
  if ((await sweepDeadWorkspaces(workspaceKind)) > 0) say('what an interrupted run left was removed');
  const workspace = await createWorkspace(workspaceKind);
  try {
    const startedMs = performance.now();
    const server = await startServer(name, workspace, signal);
    try {
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
      say(`${serverNames[name]} listens on ${server.endpoint}, after ${seconds} s`);
      const described = { S3_NAME: serverNames[name], ...serverVariables(server, server.lacks) };
      const variables = { ...described, ...workspace.mark };
      return await run(options, variables);
    } finally {
      await server.stop();
    }
  } finally {
    await workspace.remove();
  }
}

async function run(
  { command, args, environment, signal }: WithServerOptions,
  variables: Readonly<Record<string, string>>,
): Promise<number> {
  signal.throwIfAborted();
  // A group of its own lets a signal reach all that the command started, once.
  const child = spawn(command, args, {
    env: { ...environment, ...variables },
    stdio: 'inherit',
    detached: true,
  });
  await once(child, 'spawn');
  const { pid } = child;
  const end = (how: NodeJS.Signals) => {
    if (pid !== undefined && child.exitCode === null && child.signalCode === null) process.kill(-pid, how);
  };
  const stop = () => {
    end('SIGTERM');
    setTimeout(end, graceMs, 'SIGKILL').unref();
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    const [exitCode, endedBy] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    signal.throwIfAborted();
    return exitCode ?? 128 + (endedBy === null ? 0 : constants.signals[endedBy]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
