/** The timer of systemd that backs up: whether it is active, when it comes next, and how its last run ended. */
import { hasSystemd, showUnit, type UnitProperties } from '../../../../edge/process/systemd-state.ts';
import { broken, type Check, doubtful, type Finding, fine, skipped } from '../check.ts';

const [timerName, serviceName] = ['btrfs-to-s3.timer', 'btrfs-to-s3.service'];

/** The check of the timer. */
export const timerCheck: Check = {
  name: 'timer',
  look: async () => {
    if (!(await hasSystemd()))
      return [skipped('systemd does not run here: whatever calls make backup IF_DUE=1 is not known')];
    const [timer, service] = await Promise.all([showUnit(timerName), showUnit(serviceName)]);
    return judgeTimer(timer, service);
  },
};

/** Judges what systemd says of the timer and its service. */
export function judgeTimer(timer: UnitProperties, service: UnitProperties): readonly Finding[] {
  if (timer.LoadState !== 'loaded') {
    const cure = `make install-systemd, then: systemctl enable --now ${timerName}`;
    return [
      doubtful(
        `${timerName} is not installed: nothing backs up by itself, unless another scheduler does`,
        cure,
      ),
    ];
  }
  const found: Finding[] = [];
  if (timer.ActiveState !== 'active') {
    found.push(
      broken(
        `${timerName} is ${timer.ActiveState}: it starts no backup`,
        `systemctl enable --now ${timerName}`,
      ),
    );
  } else if (timer.UnitFileState === 'disabled') {
    found.push(broken(`${timerName} does not start with the machine`, `systemctl enable ${timerName}`));
  }
  // A service that has not run yet has succeeded, too.
  if (service.Result !== undefined && service.Result !== 'success') {
    const how = service.Result === 'exit-code' ? `exit code ${service.ExecMainStatus}` : service.Result;
    found.push(
      broken(`the last run of ${serviceName} failed (${how})`, `journalctl -u ${serviceName} -n 50`),
    );
  }
  if (found.length > 0) return found;
  const last = timer.LastTriggerUSec
    ? `the last run, ${timer.LastTriggerUSec}, succeeded`
    : 'it has not run yet';
  return [
    fine(
      `${timerName} is active, comes next ${timer.NextElapseUSecRealtime || 'at a time that is not known'}; ${last}`,
    ),
  ];
}
