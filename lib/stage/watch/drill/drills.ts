/** Drills of several subvolumes, one after the other. */
import { ToolError } from '../../../core/errors.ts';
import type { DrillCadence } from '../../../core/plan/drill-due.ts';
import { listEverything, nothingFound } from '../../bucket/backups.ts';
import type { StageContext } from '../../context.ts';
import { planScratch, type ScratchPlan, type ScratchRequest } from '../../restore/scratch/scratch-plan.ts';
import { type DrillOptions, type DrillOutcome, drill, type NextDrill, nextDrill } from './drill.ts';
import { lockDrill } from './drill-lock.ts';

/** Which drills, and how they are done. */
export interface DrillsRequest extends DrillOptions, Omit<ScratchRequest, 'subvolume'> {
  /** Undefined: all in the bucket. */
  readonly subvolume: string | undefined;
  /** Undefined: whether one is due or not. */
  readonly cadence: DrillCadence | 'off' | undefined;
  readonly isDryRun: boolean;
}

/** What became of one. */
export type DrillResult =
  | { readonly subvolume: string; readonly did: 'nothing'; readonly next: NextDrill }
  /** Another drill of it runs, so that none is due. */
  | { readonly subvolume: string; readonly did: 'leave'; readonly why: string }
  | { readonly subvolume: string; readonly did: 'plan'; readonly plan: ScratchPlan }
  | { readonly subvolume: string; readonly did: 'drill'; readonly outcome: DrillOutcome }
  | { readonly subvolume: string; readonly did: 'fail'; readonly failure: ToolError };

/** Whether none was drilled, and not because all is well: one is under way, or the next waits as those before it failed. */
export function isLeftOpen(results: readonly DrillResult[]): boolean {
  const isOpen = (result: DrillResult) =>
    result.did === 'leave' || (result.did === 'nothing' && result.next.failures > 0);
  return results.some(isOpen) && results.every(({ did }) => did === 'leave' || did === 'nothing');
}

/**
 * Drills one subvolume or all that have a backup. One that fails does not stop the others.
 * @param onPlan called with what is to be done before it begins
 * @throws ToolError where there is no backup at all, or when it is stopped
 */
export async function drillEach(
  context: StageContext,
  request: DrillsRequest,
  onPlan: (plan: ScratchPlan) => void,
): Promise<readonly DrillResult[]> {
  if (request.cadence === 'off') return [];
  const { bucket, signal } = context;
  const names = request.subvolume === undefined ? (await listEverything(bucket)).names : [request.subvolume];
  if (names.length === 0) throw await nothingFound(bucket, 'there is no backup to drill');
  const results: DrillResult[] = [];
  for (const subvolume of names) {
    try {
      results.push(await drillOne(context, { ...request, subvolume }, onPlan));
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ToolError)) throw error;
      results.push({ subvolume, did: 'fail', failure: error });
    }
  }
  return results;
}

interface OneDrill extends DrillsRequest {
  readonly subvolume: string;
}

/** Whether one is due is asked under the lock: another drill may have come to its conclusion just before. */
async function drillOne(
  context: StageContext,
  request: OneDrill,
  onPlan: (plan: ScratchPlan) => void,
): Promise<DrillResult> {
  const { subvolume, cadence, isDryRun } = request;
  if (isDryRun) return drillIfDue(context, request, onPlan);
  const lock = await lockDrill(context, subvolume).catch((error: unknown) => {
    if (cadence !== undefined && error instanceof ToolError && error.kind === 'locked') return error.message;
    throw error;
  });
  if (typeof lock === 'string') return { subvolume, did: 'leave', why: lock };
  try {
    return await drillIfDue(context, request, onPlan);
  } finally {
    await lock.release();
  }
}

async function drillIfDue(
  context: StageContext,
  request: OneDrill,
  onPlan: (plan: ScratchPlan) => void,
): Promise<DrillResult> {
  const { subvolume, selection, thaw, cadence, isDryRun } = request;
  if (cadence !== undefined && cadence !== 'off') {
    const next = await nextDrill(context, subvolume, cadence);
    if (next !== undefined) return { subvolume, did: 'nothing', next };
  }
  const plan = await planScratch(context, { subvolume, selection, thaw });
  if (isDryRun) return { subvolume, did: 'plan', plan };
  onPlan(plan);
  return { subvolume, did: 'drill', outcome: await drill(context, plan, request) };
}
