/** Makes a settings file with the answers to a few questions, and has the doctor look at it. */
import { hostname } from 'node:os';
import { exitCodeOf, ToolError } from '../../core/errors.ts';
import { resolveSettings } from '../../core/settings/settings.ts';
import { pathExists } from '../../edge/files/files.ts';
import { lookAtMachine } from '../../stage/setup/machine-facts.ts';
import { createLog, logError } from '../log.ts';
import { parseOptions } from '../options/parse-options.ts';
import { doctorReport } from '../reports/doctor-report.ts';
import { examineFile } from '../run-doctor.ts';
import type { ScriptNotes } from '../run-script.ts';
import { listenForSignals, signalNumbers } from '../signals.ts';
import { Answers } from './answers.ts';
import { existing, makeAll } from './apply.ts';
import { askEncryption, askHowOften } from './ask-rest.ts';
import { askSources } from './ask-sources.ts';
import { askCredentials, askPlace, askServer } from './ask-target.ts';
import { findBucket } from './find-bucket.ts';
import { mendFirst, nextSteps } from './next-steps.ts';
import { offerPolicy } from './offer-policy.ts';
import { Prompter } from './prompter.ts';
import { runEstimate } from './run-estimate.ts';

/** Which file is written, where this checkout is, and whether a bucket is made without asking. */
interface InitRequest {
  readonly config: string;
  readonly checkout: string;
  readonly makesBucket: boolean;
}

/** Asks, writes, and examines; gives the exit code: that of the doctor, once the file is written. */
export async function runInit(notes: ScriptNotes<'make-bucket'>, checkout: string): Promise<number> {
  const stopped = listenForSignals();
  let prompter: Prompter | undefined;
  try {
    const { own, config, sets, json } = parseOptions(notes.file, notes.options);
    if (await pathExists(config)) throw existing(config);
    prompter = process.stdin.isTTY && process.stdout.isTTY ? new Prompter() : undefined;
    const steps = await makeSettings(
      new Answers(sets, prompter),
      { config, checkout, makesBucket: own['make-bucket'] !== undefined },
      stopped.signal,
    );
    prompter?.close();
    const say = (text: string) => (json ? undefined : console.log(`\n${text}`));
    say(`wrote ${config}. Looking at everything it needs:\n`);
    const asked = { role: 'backup', measuresRate: false } as const;
    const report = doctorReport(await examineFile(asked, config, [], stopped.signal));
    console.log(json ? JSON.stringify({ config, doctor: report.json }) : report.text);
    if (!json && !report.isBroken) {
      say('What the first backup will take and cost (Ctrl-C skips it):\n');
      await runEstimate(checkout, config);
    }
    if (report.isBroken) say(mendFirst(config));
    say(steps.join('\n'));
    return report.isBroken ? 1 : 0;
  } catch (error) {
    prompter?.close();
    const name = stopped.name();
    const log = await createLog({ script: 'init', format: 'auto', level: 'info' });
    logError(log, name ? stopped.signal.reason : error);
    return name ? 128 + signalNumbers[name] : exitCodeOf(error);
  }
}

async function makeSettings(
  answers: Answers,
  { config, checkout, makesBucket }: InitRequest,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { prompter } = answers;
  const hostName = hostname();
  prompter?.say(
    `A few questions, each with a default in brackets. Nothing is changed before the last one.\n`,
  );
  const snapshotDirectory = await askSources(answers, await lookAtMachine());
  const provider = await askServer(answers);
  await askCredentials(answers);
  await askPlace(answers, hostName);
  if (provider === 'aws') await offerPolicy(answers, checkout);
  const identityFile = await askEncryption(answers);
  await askHowOften(answers);
  answers.finish();
  const { toMake: bucket, refusal } = await findBucket(answers, { hostName, makesBucket }, signal);
  try {
    if (!prompter && refusal) throw unwritten(refusal);
    const text = refusal ? `Write ${config} all the same?` : `Write ${config}?`;
    if (prompter && !(await prompter.confirm(text, refusal === undefined))) {
      throw new ToolError('stopped: no settings were written', { kind: 'interrupted' });
    }
    await makeAll(answers, { config, snapshotDirectory, identityFile, bucket });
    return await nextSteps(resolveSettings(answers.lines()).values, config, identityFile);
  } finally {
    bucket?.close();
  }
}

/** A script mends the credentials and runs again, which a settings file that is there already would refuse. */
function unwritten({ message, kind, hint = '', cause }: ToolError): ToolError {
  return new ToolError(`no settings were written: ${message}`, {
    kind,
    hint: `${hint}, and run again`,
    cause,
  });
}
