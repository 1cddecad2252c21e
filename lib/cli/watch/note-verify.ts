/** What verify found of each subvolume, for the record of the run. */
import { formatCount } from '../../core/units.ts';
import type { VerifyOutcome } from '../../stage/bucket/verify.ts';
import type { RunningScript } from '../options/script-definition.ts';

/** Notes it. */
export function noteVerify(
  note: RunningScript<string>['note'],
  { subvolumes }: Pick<VerifyOutcome, 'subvolumes'>,
): void {
  for (const { name, findings, cold } of subvolumes) {
    if (findings > 0) {
      note(name, { outcome: 'damaged', problem: formatCount(findings, 'finding') });
    } else if (cold > 0) {
      note(name, { outcome: 'incomplete', problem: `${formatCount(cold, 'object')} archived and not read` });
    } else note(name, { outcome: 'sound', problem: null });
  }
}
