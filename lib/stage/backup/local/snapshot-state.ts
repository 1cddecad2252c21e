/** The state of a snapshot by now, as a stream would have it. */
import { describeError, ToolError } from '../../../core/errors.ts';
import type { StreamHead } from '../../../core/stream/stream-head.ts';
import { readStreamHead } from '../../../edge/btrfs/read-stream-head.ts';
import type { StageContext } from '../../context.ts';

/** The state of a snapshot; undefined, after a warning, where btrfs send cannot show it: then nothing can build on it. */
export async function stateOf({ log }: StageContext, path: string): Promise<StreamHead | undefined> {
  return readStreamHead(path).catch((error: unknown) => {
    if (!(error instanceof ToolError)) throw error;
    log.warn(`the state of snapshot ${path} cannot be read: ${describeError(error)}`);
    return undefined;
  });
}
