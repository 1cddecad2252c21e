/**
 * The timers of systemd that back up, verify and prune by a settings file: whether they are of that file and active, when they come next, and
 * how the last run ended.
 */
import {
  configIn,
  hasSystemd,
  isSameFile,
  showUnit,
  type UnitProperties,
} from '../../../../edge/process/systemd-state.ts';
import { broken, type Check, doubtful, type Finding, fine, skipped } from '../check.ts';
import type { Patient } from '../patient.ts';

const mainName = 'btrfs-to-s3';

/** The check of the timers. @param systemd another one for tests */
export function timerCheck(
  { settings, config }: Pick<Patient, 'settings' | 'config'>,
  systemd = { isRunning: hasSystemd, show: showUnit },
): Check {
  const lookAt = (name: string) => lookAtUnits(name, config, systemd.show);
  return {
    name: 'timer',
    look: async () => {
      if (!(await systemd.isRunning()))
        return [skipped('systemd does not run here: whatever calls make backup IF_DUE=1 is not known')];
      const main = await lookAt(mainName);
      const asked = { config, installed: main.config };
      const instance = main.isOther ? instanceOf(config) : undefined;
      if (instance !== undefined) {
        const name = `${mainName}@${instance}`;
        return [...judgeTimer(await lookAt(name), name, asked), othersOfInstance];
      }
      const found = judgeTimer(main, mainName, asked);
      // Without the first, another scheduler may call everything.
      if (main.timer.LoadState !== 'loaded' || main.isOther) return found;
      const others = [
        `${mainName}-verify`,
        ...(settings.PRUNE_EVERY === 'never' ? [] : [`${mainName}-prune`]),
      ];
      const rest = await Promise.all(others.map(async (name) => judgeTimer(await lookAt(name), name, asked)));
      return [...found, ...rest.flat()];
    },
  };
}

/** The instance whose units read a settings file; undefined where it is in another place. */
export function instanceOf(config: string): string | undefined {
  return /^\/etc\/btrfs-to-s3\/([A-Za-z0-9:_.-]+)\.env$/.exec(config)?.[1];
}

const othersOfInstance = skipped(
  'no unit calls make verify IF_DUE=1 and make prune IF_DUE=1 APPLY=1 for an instance: whether anything else does is not known',
);

/** What systemd says of a timer and its service. */
export interface TimerUnits {
  readonly timer: UnitProperties;
  readonly service: UnitProperties;
  /** The settings file of the service, where one is named. */
  readonly config: string | undefined;
  /** True where that is not the one that is looked at. */
  readonly isOther: boolean;
}

async function lookAtUnits(name: string, asked: string, show: typeof showUnit): Promise<TimerUnits> {
  const [timer, service] = await Promise.all([show(`${name}.timer`), show(`${name}.service`)]);
  const config = configIn(service.ExecStart ?? '');
  return { timer, service, config, isOther: config !== undefined && !(await isSameFile(config, asked)) };
}

/**
 * Judges what systemd says of a timer and its service.
 * @param name of both, without the ending
 * @param asked the settings file that is looked at, and that of the units for which `make install-systemd` was run, if it was
 */
export function judgeTimer(
  { timer, service, config: used, isOther }: TimerUnits,
  name: string,
  { config, installed = config }: { readonly config: string; readonly installed?: string | undefined },
): readonly Finding[] {
  const [timerName, serviceName] = [`${name}.timer`, `${name}.service`];
  const install = `make install-systemd CONFIG=${installed}`;
  if (timer.LoadState !== 'loaded') {
    return [
      doubtful(
        `${timerName} is not installed: what it does happens only where another scheduler, or you, do it`,
        `${install}, then: systemctl enable --now ${timerName}`,
      ),
    ];
  }
  if (isOther) {
    return [
      doubtful(
        `${serviceName} uses ${used}, and no unit uses ${config}`,
        name === mainName
          ? `make doctor CONFIG=${used} looks at what the unit does; for a timer of its own, this file has to be /etc/btrfs-to-s3/NAME.env: systemctl enable --now ${mainName}@NAME.timer`
          : install,
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
