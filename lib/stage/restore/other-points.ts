/** Where a backup cannot be restored: which others of its subvolume can. */
import { ToolError } from '../../core/errors.ts';
import { readableTimestamp } from '../../core/format/names.ts';
import { formatCount } from '../../core/units.ts';
import { listBackups } from '../bucket/list.ts';
import { SignatureProblem } from '../bucket/signatures.ts';
import type { StageContext } from '../context.ts';

/** As many fit a line; `make list` has all. */
const mostNamed = 12;

/**
 * Does something that looks at a chain.
 * @throws what that throws; for damage, with the points in time that can be restored.
 */
export async function namingOtherPoints<Result>(
  context: StageContext,
  subvolume: string,
  look: () => Promise<Result>,
): Promise<Result> {
  try {
    return await look();
  } catch (error) {
    // Of signatures no list of other points knows anything.
    if (!(error instanceof ToolError) || error.kind !== 'damage' || error instanceof SignatureProblem)
      throw error;
    // The damage is what has to be reported, with or without this.
    const points = await wholePoints(context, subvolume).catch(() => undefined);
    if (!points) throw error;
    const { message, kind, problem, cause } = error;
    throw new ToolError(message, {
      kind,
      problem,
      cause,
      hint: `make verify shows all that is affected; ${describePoints(points)}`,
    });
  }
}

/** Newest first. */
async function wholePoints(context: StageContext, subvolume: string): Promise<readonly string[]> {
  const backups = await listBackups(context, subvolume);
  return backups
    .flatMap(({ created_at, restorability }) => {
      if ('whyNot' in restorability) return [];
      // As make list has it: reading the bytes will settle it, which a restore does.
      return `AT=${readableTimestamp(created_at)}${restorability.doubt === undefined ? '' : ' (unsure)'}`;
    })
    .reverse();
}

function describePoints(points: readonly string[]): string {
  if (points.length === 0) return 'no other backup can be restored';
  const named = points.slice(0, mostNamed);
  const more = points.length - named.length;
  if (more > 0) named.push(`and ${formatCount(more, 'earlier one')} (make list)`);
  return `these can be restored: ${named.join(', ')}`;
}
