/** Many histories, one after the other, and what to print of them. */
import type { Ground } from './ground.ts';
import { type HistoryPlan, type PlannedStep, planHistory } from './plan-history.ts';
import { type HistoryOutcome, reasonOf, runHistory } from './run-history.ts';
import { shrinkHistory } from './shrink-history.ts';
import type { Switches } from './switches.ts';
import { Tally } from './tally.ts';

/** How many histories, and what to do with those that fail. */
export interface HistoriesRequest {
  readonly firstSeed: number;
  /** After so many histories, or so many seconds, it is over. */
  readonly histories: number;
  readonly seconds: number;
  readonly keepGoing: boolean;
  readonly shrink: boolean;
  readonly isOn: Switches;
  /** Steps that replace those that follow from the seed. */
  readonly steps: readonly PlannedStep[] | undefined;
  /** Takes what is to be read in the end. */
  readonly print: (line: string) => void;
  /** Takes what is to be read now. */
  readonly tell: (line: string) => void;
  readonly signal: AbortSignal;
}

/** What came out. */
export interface HistoriesOutcome {
  readonly histories: number;
  readonly tally: Tally;
  readonly failed: readonly HistoryOutcome[];
}

/** Runs histories until one fails, or, where asked to keep going, until their number or the time is over. */
export async function runHistories(ground: Ground, request: HistoriesRequest): Promise<HistoriesOutcome> {
  const { firstSeed, isOn, print, tell, signal } = request;
  const startedAt = performance.now();
  const tally = new Tally();
  const failed: HistoryOutcome[] = [];
  const reasons = new Set<string>();
  let histories = 0;
  const isOver = () =>
    histories >= request.histories ||
    (performance.now() - startedAt) / 1000 >= request.seconds ||
    (failed.length > 0 && !request.keepGoing) ||
    signal.aborted;
  while (!isOver()) {
    const planned = planHistory(firstSeed + histories, isOn);
    const plan: HistoryPlan = request.steps ? { ...planned, steps: request.steps } : planned;
    const outcome = await runHistory(ground, plan, isOn, signal);
    histories += 1;
    tally.add(outcome.tally);
    if (outcome.failure === undefined) continue;
    failed.push(outcome);
    const isNew = !reasons.has(reasonOf(outcome.failure));
    reasons.add(reasonOf(outcome.failure));
    tell(`SEED=${plan.seed} fails: ${isNew ? outcome.failure : reasonOf(outcome.failure)}`);
    if (!isNew) continue;
    const shown = request.shrink ? await shrinkHistory(ground, outcome, isOn, signal) : outcome;
    printStory(shown, tell);
  }
  printTally(histories, tally, (performance.now() - startedAt) / 1000, print);
  return { histories, tally, failed };
}

function printStory({ plan, story, failure }: HistoryOutcome, print: (line: string) => void): void {
  const steps = plan.steps.map(({ name, number }) => `${name}.${number}`).join(' ');
  print(`  to replay it: SEED=${plan.seed} STEPS='${steps}'`);
  for (const line of story) print(`    ${line}`);
  print(`    => ${failure}`);
}

function printTally(histories: number, tally: Tally, seconds: number, print: (line: string) => void): void {
  const counts = (['steps', 'backups', 'refusals', 'restores', 'failures'] as const).map(
    (kind) => `${tally.total(kind)} ${kind}`,
  );
  print(`${histories} histories, ${counts.join(', ')} in ${seconds.toFixed(1)} s`);
  for (const kind of ['backups', 'restores', 'refusals', 'failures'] as const) {
    const lines = tally.lines(kind);
    if (lines.length > 0) print(`${kind}:`);
    for (const line of lines) print(line);
  }
}
