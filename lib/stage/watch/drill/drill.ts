/** A drill: restores a backup into a scratch filesystem, compares it, and records in the bucket what that proved. */
import { describeError, ToolError } from '../../../core/errors.ts';
import { type DrillRecord, MAX_DRILL_TEXT } from '../../../core/format/drill-record.ts';
import { readableTime } from '../../../core/format/names.ts';
import { TOOL } from '../../../core/format/tool.ts';
import { type DrillCadence, judgeDrill } from '../../../core/plan/drill-due.ts';
import { printable } from '../../../core/printable.ts';
import type { StageContext } from '../../context.ts';
import { compareWithSource, type VerifyMode } from '../../restore/compare-restored.ts';
import { type Restored, restoreInScratch } from '../../restore/scratch/restore-in-scratch.ts';
import type { ScratchPlan } from '../../restore/scratch/scratch-plan.ts';
import { sourceHere } from '../../restore/scratch/source-here.ts';
import { earlierDrills, keyOfDrill, writeRecord } from './records.ts';

/** How it is done. */
export interface DrillOptions {
  readonly verifyMode: VerifyMode;
  /** False: chunks that are not thawed are requested, and it ends. */
  readonly mayWait: boolean;
}

/** What it found. */
export interface DrillOutcome {
  /** Where it is recorded. */
  readonly key: string;
  readonly record: DrillRecord;
  /** What is damaged, or failed; undefined where the backup is sound. */
  readonly failure: ToolError | undefined;
}

/**
 * Does a drill, and records it. One that waits for a thaw, or is stopped, stays begun, and the next one continues its record.
 * @throws ToolError when it cannot be recorded, chunks are not thawed, or it is stopped
 */
export async function drill(
  context: StageContext,
  plan: ScratchPlan,
  { verifyMode, mayWait }: DrillOptions,
): Promise<DrillOutcome> {
  const started = startedRecord(context, plan);
  const { begun } = await earlierDrills(context, plan.subvolume);
  const key = begun ?? keyOfDrill(context, plan.subvolume);
  await writeRecord(context, key, started, begun === undefined);
  let outcome: Pick<DrillOutcome, 'record' | 'failure'>;
  try {
    const proofs = await restoreInScratch(context, plan, mayWait, (restored) =>
      prove(context, plan, restored, verifyMode),
    );
    outcome = { record: { ...started, result: 'sound', proofs: proofs.map(recordable) }, failure: undefined };
  } catch (error) {
    context.signal.throwIfAborted();
    if (!(error instanceof ToolError) || error.kind === 'thaw') throw error;
    const problem = recordable(describeError(error));
    const result = error.kind === 'damage' ? 'damaged' : 'failed';
    outcome = { record: { ...started, result, problem }, failure: error };
  }
  const record = { ...outcome.record, finished_at: context.now().toISOString() };
  await writeRecord(context, key, record, false);
  return { ...outcome, key, record };
}

/** When the next drill of a subvolume is due, and after how many in a row that failed. */
export interface NextDrill {
  readonly at: string;
  readonly failures: number;
}

/** Judges when that is; undefined when one is due now. @throws ToolError when the clock is behind the last one */
export async function nextDrill(
  context: StageContext,
  subvolume: string,
  cadence: DrillCadence,
): Promise<NextDrill | undefined> {
  const { last, failed, lastKey } = await earlierDrills(context, subvolume);
  const timeOf = ({ started_at }: DrillRecord) => new Date(started_at).getTime();
  const verdict = judgeDrill(cadence, last && timeOf(last), context.now().getTime(), failed.map(timeOf));
  if (verdict.due === true) return undefined;
  if (verdict.due === false)
    return { at: readableTime(new Date(verdict.atMs)), failures: verdict.failures ?? 0 };
  throw new ToolError(
    `the clock says ${context.now().toISOString()}, but the last drill of ${subvolume} is of ${last?.started_at}`,
    {
      hint: `set the clock (timedatectl set-ntp true) and run again; if it is right, delete ${lastKey}`,
    },
  );
}

async function prove(
  context: StageContext,
  { newest: { manifest } }: ScratchPlan,
  { tree, outcome }: Restored,
  verifyMode: VerifyMode,
): Promise<readonly string[]> {
  // Of its proofs the first is what the restore itself has proved.
  const [received = ''] = outcome.proofs;
  const source = await sourceHere(context, manifest);
  if (source && !source.isUnchanged) {
    return [received, `not compared file by file: ${source.path} was changed since it was backed up`];
  }
  const compared = await compareWithSource(context, manifest, tree, verifyMode).catch((error: unknown) => {
    if (!(error instanceof ToolError) || error.kind !== 'damage') throw error;
    throw new ToolError(error.message, {
      kind: 'damage',
      hint: 'nothing of it is kept; make restore gives a tree to look at',
      cause: error,
      ...(error.childOutput && { childOutput: error.childOutput }),
    });
  });
  return [received, compared];
}

/** Paths may be long, and have in them what no terminal should obey. */
function recordable(text: string): string {
  return printable(text).slice(0, MAX_DRILL_TEXT);
}

function startedRecord(
  { hostName, hostId, now }: StageContext,
  { subvolume, newest, chain, bytes }: ScratchPlan,
): DrillRecord {
  return {
    version: 1,
    subvolume,
    manifest_key: newest.key,
    created_at: newest.manifest.created_at,
    backups: chain.length,
    bytes,
    result: 'started',
    proofs: [],
    problem: null,
    host: hostName,
    host_id: hostId,
    tool: TOOL,
    started_at: now().toISOString(),
    finished_at: null,
  };
}
