/** IF_DUE for what timers do beside backups: judged by what the last run of this host has left in RUN_DIR. */
import { readableTime } from '../../core/format/names.ts';
import { nextTaskMs } from '../../core/watch/task-due.ts';
import { WatchFiles } from '../../edge/files/watch-files.ts';
import type { StageContext } from '../../stage/context.ts';
import type { OptionDefinition } from '../options/help.ts';

/** The option of a script. */
export function ifDueOption(setting: 'VERIFY_EVERY' | 'PRUNE_EVERY') {
  return { type: 'boolean', about: `only when ${setting} makes it due` } as const satisfies OptionDefinition;
}

/** Why a command has nothing to do now, as a line for the user; undefined when it is due. */
export async function whyNotDue(
  { settings, bucket, now }: StageContext,
  command: 'verify' | 'prune',
): Promise<string | undefined> {
  const setting = command === 'verify' ? 'VERIFY_EVERY' : 'PRUNE_EVERY';
  const every = settings[setting];
  if (every === 'never') return `nothing is due: ${setting}=never`;
  const last = await new WatchFiles(settings.RUN_DIR).readRun(command);
  const doneAt = last?.place === `${bucket.name}/${bucket.prefix}` ? last.done_at : null;
  const nextMs = nextTaskMs(every, doneAt, now().getTime());
  return nextMs === undefined ? undefined : `next ${command} due ${readableTime(new Date(nextMs))}`;
}
