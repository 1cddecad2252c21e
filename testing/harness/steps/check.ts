/** Claims that a step checks: all of them are looked at, and what does not hold is reported together. */
import type { StepLog } from '../runner/step-log.ts';

/** The claims of one step. */
export interface Checks {
  /** Notes whether something holds; `detail` says what was seen. */
  hold(holds: boolean, claim: string, detail?: unknown): void;
  /** @throws with all that did not hold, or when nothing was checked */
  finish(about: string): void;
}

/** Begins to check. */
export function startChecks(log: StepLog): Checks {
  let count = 0;
  const failed: string[] = [];
  return {
    hold(holds, claim, detail) {
      count += 1;
      const seen = detail === undefined ? '' : `: ${JSON.stringify(detail)}`;
      log.note(`${holds ? 'holds' : 'DOES NOT HOLD'}: ${claim}${seen}`);
      if (!holds) failed.push(`${claim}${seen}`);
    },
    finish(about) {
      if (count === 0) throw new Error(`nothing was checked of ${about}`);
      if (failed.length > 0)
        throw new Error(`${failed.length} of ${count} checks failed: ${failed.join('; ')}`);
      log.say(`${about}: ${count} checks hold`);
    },
  };
}
