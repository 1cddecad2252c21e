/** The servers that can be started here, by name. */
import { join } from 'node:path';
import { startCeph } from '../ceph/start-ceph.ts';
import type { Workspace } from '../workspace.ts';
import { startServerProcess } from './local-server.ts';
import type { RunningServer } from './running-server.ts';

/** The names, and what they are to a reader of results. */
export const serverNames = { local: 'the embedded server', ceph: 'Ceph' } as const;

/** One of the servers that can be started here. */
export type ServerName = keyof typeof serverNames;

/** Whether the environment names one. */
export const isServerName = (name: string): name is ServerName => Object.hasOwn(serverNames, name);

/** Starts one in a workspace, with a bucket; it ends with this process. @throws why it does not start. */
export async function startServer(
  name: ServerName,
  { directory, environment }: Workspace,
  signal: AbortSignal,
): Promise<RunningServer> {
  const options = { directory: join(directory, 'server'), bucket: 'bucket', environment, signal };
  return await (name === 'ceph' ? startCeph(options) : startServerProcess(options));
}
