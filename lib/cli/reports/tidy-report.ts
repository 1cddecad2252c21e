/** What the scripts of a backup report about old local snapshots. */
import type { TidyOutcome } from '../../stage/backup/publish/tidy-up.ts';
import type { Log } from '../../transfer/transfer-context.ts';

/** Logs which snapshots of a published backup went. @throws ToolError that says why others stay */
export async function reportTidying(log: Log, outcome: TidyOutcome | undefined): Promise<void> {
  for (const name of outcome?.thinned ?? []) log.info(`removed local snapshot ${name}`);
  if (outcome?.untidy) throw outcome.untidy;
}
