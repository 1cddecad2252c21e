/** Whether this process may do what btrfs reserves for root, found out before anything is begun. */
import { readFile } from 'node:fs/promises';
import { ToolError } from '../../core/errors.ts';

/** Number of CAP_SYS_ADMIN, which send and receive need (linux/capability.h; fs/btrfs/send.c, ioctl.c). */
const sysAdmin = 21n;

/**
 * Refuses to begin what could only fail.
 * @throws ToolError (usage) where this process lacks CAP_SYS_ADMIN; root has it, unless a container takes it away.
 */
export async function demandRoot(): Promise<void> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  const problem = missingPrivilege(status, process.geteuid?.() ?? 0);
  if (problem) throw problem;
}

/** The error for a process, by its /proc/PID/status and its user; undefined when it may do everything, or nothing shows it. */
export function missingPrivilege(status: string, uid: number): ToolError | undefined {
  const [, effective] = /^CapEff:\s*([0-9a-f]+)$/m.exec(status) ?? [];
  const may = effective === undefined ? uid === 0 : ((BigInt(`0x${effective}`) >> sysAdmin) & 1n) === 1n;
  if (may) return undefined;
  const needs = 'btrfs lets only root take, send and receive snapshots';
  return uid === 0
    ? new ToolError(`${needs}, and this root lacks CAP_SYS_ADMIN, as in a container`, {
        kind: 'usage',
        hint: 'run it on the host itself, or give the container the capability: docker run --cap-add SYS_ADMIN',
      })
    : new ToolError(`${needs}, and this is user ${uid}`, {
        kind: 'usage',
        hint: 'run as root, such as with sudo',
      });
}
