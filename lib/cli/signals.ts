/** How a script is stopped. */
import { setMaxListeners } from 'node:events';
import { ToolError } from '../core/errors.ts';

/** SIGHUP: the terminal was closed, or the connection to it lost. Not with nohup, which scripts/tsx.sh finds out: Node does not say. */
export const signalNumbers = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
type SignalName = keyof typeof signalNumbers;

/** One stop may arrive as several signals: service managers signal every process, and make its children as well. */
const sameStopMs = 1000;

/**
 * The first signal ends the run in an orderly way, a later one at once. Children get none of it: they are in sessions of their own
 * (edge/process/child.ts).
 */
export function listenForSignals() {
  const controller = new AbortController();
  // Every request listens, and from the eleventh on Node would print a warning of a leak.
  setMaxListeners(0, controller.signal);
  let received: SignalName | undefined;
  let receivedAtMs = 0;
  const isNohup = process.env.BTRFS_TO_S3_NOHUP !== undefined;
  for (const name of Object.keys(signalNumbers) as SignalName[]) {
    if (name === 'SIGHUP' && isNohup) {
      process.on(name, () => undefined);
      continue;
    }
    process.on(name, () => {
      if (received && performance.now() - receivedAtMs < sameStopMs) return;
      if (received) process.exit(128 + signalNumbers[name]);
      received = name;
      receivedAtMs = performance.now();
      controller.abort(
        new ToolError(`stopped by ${name}`, {
          kind: 'interrupted',
          hint: 'run the same command again to continue',
        }),
      );
    });
  }
  return { signal: controller.signal, name: () => received };
}
