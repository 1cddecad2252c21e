/** What every stage is given, beside what its transfers are: who this host is, the clock, and progress to show. */
import type { Progress, TransferContext } from '../transfer/transfer-context.ts';

/** Handed to every stage by the command line. */
export interface StageContext extends TransferContext {
  readonly startProgress: (label: string) => Progress;
  readonly now: () => Date;
  readonly hostName: string;
  /** Of this machine, whatever its name; undefined where that is not known. */
  readonly hostId: string | undefined;
  /** Where this tool lies: the directory above `scripts/` and `config/`. */
  readonly checkout: string;
}
