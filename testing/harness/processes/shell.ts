/** zx, set up for the short commands of the harness. */
import { $ } from 'zx';

/**
 * Quiet, and throwing when a command fails. Bash takes a socket on standard input, which is what a pipe of Node is, for a
 * remote login and would run ~/.bashrc first, but only where SHLVL says that it is the outermost shell (shell.c of bash,
 * run_startup_files): a service or sudo starts without SHLVL.
 */
export const shell = $({ quiet: true, env: { ...process.env, SHLVL: '1' } });
