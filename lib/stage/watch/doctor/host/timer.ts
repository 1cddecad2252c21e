/** The timers of systemd that back up, verify and prune: whether they are active, when they come next, and how the last run ended. */
import { hasSystemd, showUnit, type UnitProperties } from '../../../../edge/process/systemd-state.ts';
import { broken, type Check, doubtful, type Finding, fine, skipped } from '../check.ts';
import type { Patient } from '../patient.ts';

/** The check of the timers. */
export function timerCheck({ settings }: Pick<Patient, 'settings'>): Check {
  return {
    name: 'timer',
    look: async () => {
      if (!(await hasSystemd()))
        return [skipped('systemd does not run here: whatever calls make backup IF_DUE=1 is not known')];
      const others = [
        'btrfs-to-s3-verify',
        ...(settings.PRUNE_EVERY === 'never' ? [] : ['btrfs-to-s3-prune']),
      ];
      const [main = [], ...rest] = await Promise.all(['btrfs-to-s3', ...others].map(lookAtTimer));
      // Without the first, another scheduler may call everything.
      return (await showUnit('btrfs-to-s3.timer')).LoadState === 'loaded' ? [...main, ...rest.flat()] : main;
    },
  };
}

async function lookAtTimer(name: string): Promise<readonly Finding[]> {
  const [timer, service] = await Promise.all([showUnit(`${name}.timer`), showUnit(`${name}.service`)]);
  return judgeTimer(timer, service, name);
}

/** Judges what systemd says of a timer and its service. @param name of both, without the ending */
export function judgeTimer(timer: UnitProperties, service: UnitProperties, name: string): readonly Finding[] {
  const [timerName, serviceName] = [`${name}.timer`, `${name}.service`];
  if (timer.LoadState !== 'loaded') {
    const cure = `make install-systemd, then: systemctl enable --now ${timerName}`;
    return [
      doubtful(
        `${timerName} is not installed: what it does happens only where another scheduler, or you, do it`,
        cure,
      ),
    ];
  }
  const found: Finding[] = [];
  if (timer.ActiveState !== 'active') {
    found.push(
      broken(
        `${timerName} is ${timer.ActiveState}: it starts nothing`,
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
