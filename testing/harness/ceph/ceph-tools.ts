/** Ceph's own commands, for one cluster. */
import { $ } from 'zx';

/** Runs them. */
export interface CephTools {
  /**
   * Runs a command for this cluster.
   * @returns its standard output.
   * @throws one line that names the command, how it ended and what it complained of.
   */
  run(command: string, args: readonly string[]): Promise<string>;
}

/** Which cluster, what the commands see of the environment, and what ends them. */
export interface CephToolsOptions {
  readonly configuration: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** The commands of the cluster that a ceph.conf describes; no other is looked for. */
export function cephTools({ configuration, environment, signal }: CephToolsOptions): CephTools {
  // Bash takes a socket as standard input, which zx gives it, for a remote shell, and would read the user's .bashrc.
  const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe'];
  const shell = $({ env: environment, signal, stdio, nothrow: true, quiet: true });
  return {
    async run(command, args) {
      signal.throwIfAborted();
      const { exitCode, stdout, stderr } = await shell`${command} --conf ${configuration} ${args}`;
      signal.throwIfAborted();
      if (exitCode === 0) return stdout;
      const complaint = stderr.trim().split('\n').slice(-3).join('; ');
      throw new Error(`${[command, ...args].join(' ')} ended with exit code ${exitCode}: ${complaint}`);
    },
  };
}
