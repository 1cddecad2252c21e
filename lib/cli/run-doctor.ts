/** Runs the doctor: settings that are wrong are a finding as well, and keep it from no other. */
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { exitCodeOf, ToolError } from '../core/errors.ts';
import type { SettingValues } from '../core/settings/settings.ts';
import { readHostId } from '../edge/btrfs/host-identity.ts';
import { type Diagnosis, doubtful, failure, fine, skipped } from '../stage/watch/doctor/check.ts';
import { machineChecks } from '../stage/watch/doctor/host/machine.ts';
import type { Patient, Role } from '../stage/watch/doctor/patient.ts';
import { runChecks } from '../stage/watch/doctor/run-checks.ts';
import { createLog, logError } from './log.ts';
import { refuseCommonName } from './options/common-name.ts';
import { type doctorOptions, readRole } from './options/doctor-options.ts';
import { loadSettings } from './options/load-settings.ts';
import { parseOptions } from './options/parse-options.ts';
import { doctorReport } from './reports/doctor-report.ts';
import type { ScriptNotes } from './run-script.ts';
import { listenForSignals, signalNumbers } from './signals.ts';

/** A network that is away is found quickly, and may be back in a moment. */
const retryForSeconds = 10;

/** Looks at everything and prints what was found; 1 where anything is broken. */
export async function runDoctor(notes: ScriptNotes<keyof typeof doctorOptions>): Promise<number> {
  const stopped = listenForSignals();
  try {
    const { own, config, sets, json } = parseOptions(notes.file, notes.options);
    const found = await examineFile(
      { role: readRole(own), measuresRate: own.rate !== undefined },
      config,
      sets,
      stopped.signal,
    );
    const report = doctorReport(found);
    console.log(json ? JSON.stringify(report.json) : report.text);
    return report.isBroken ? 1 : 0;
  } catch (error) {
    const name = stopped.name();
    const log = await createLog({ script: 'doctor', format: 'auto', level: 'info' });
    logError(log, name ? stopped.signal.reason : error);
    return name ? 128 + signalNumbers[name] : exitCodeOf(error);
  }
}

/** Looks at a settings file, host and bucket. @throws the reason of the signal */
export async function examineFile(
  asked: Pick<Patient, 'role' | 'measuresRate'>,
  config: string,
  sets: readonly string[],
  signal: AbortSignal,
): Promise<readonly Diagnosis[]> {
  const { role } = asked;
  const settings = await readSettings(role, config, sets);
  if ('problems' in settings) {
    const machine = await runChecks(machineChecks(role, undefined), signal);
    return [
      ...settings.problems,
      ...machine,
      { check: 'the rest', ...skipped('is looked at when the settings are right') },
    ];
  }
  const { values, notes } = settings;
  const hostName = hostname();
  const patient: Patient = {
    settings: values,
    config: resolve(config),
    ...asked,
    now: () => new Date(),
    hostName,
    hostId: await readHostId(),
  };
  const { examine } = await import('../stage/watch/doctor/examine.ts');
  const open = async () => {
    refuseCommonName(values, hostName);
    const { openBucket } = await import('../edge/s3/s3-client.ts');
    const brief = { ...values, RETRY_FOR: retryForSeconds };
    return openBucket(brief, hostName, {
      signal,
      onRetry: () => undefined,
      onSlowDown: () => undefined,
    });
  };
  return [...notes, ...(await examine(patient, open, signal))];
}

async function readSettings(
  role: Role,
  config: string,
  sets: readonly string[],
): Promise<
  | { readonly values: SettingValues; readonly notes: readonly Diagnosis[] }
  | { readonly problems: readonly Diagnosis[] }
> {
  try {
    const { values, check } = await loadSettings(config, sets);
    const warnings = await check(role === 'backup' ? 'sources and bucket' : 'bucket');
    const notes =
      warnings.length > 0
        ? warnings.map((line) => doubtful(line))
        : [fine(`${config} can be read, and has no mistakes`)];
    return { values, notes: notes.map((finding) => ({ check: 'settings', ...finding })) };
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    const lines = error.isList ? error.message.split('\n') : [error.message];
    return {
      problems: lines.map((says) => ({ check: 'settings', ...failure(error), says })),
    };
  }
}
