/** Stage 1 of a backup: plan full or incremental, take read-only snapshots. */
import { subvolumeOption } from '../lib/cli/options/help.ts';
import { formatTable } from '../lib/cli/reports/table.ts';
import { runScript } from '../lib/cli/run-script.ts';
import { ToolError } from '../lib/core/errors.ts';
import { printable } from '../lib/core/printable.ts';
import type { NothingDue } from '../lib/stage/backup/plan-if-due.ts';

const kinds = ['auto', 'full', 'incremental'] as const;

await runScript({
  file: 'snapshot.ts',
  summary:
    'Plans the next backup of each subvolume and takes its read-only snapshot, or the newest of those that SUBVOLUMES says exist.',
  options: {
    subvolume: subvolumeOption,
    kind: { type: 'string', value: 'KIND', about: `${kinds.join(', ')} (default: auto)` },
    'if-due': {
      type: 'boolean',
      about: 'only where FULL_EVERY or INCREMENTAL_EVERY is over by the bucket, or a backup is unfinished',
    },
    'dry-run': { type: 'boolean', about: 'say what would be done, and do nothing' },
  },
  needs: 'sources and bucket',
  locked: true,
  async run({ context, options, json, forEachSubvolume }) {
    const { checkAccess } = await import('../lib/edge/s3/objects.ts');
    const { prepareSnapshot } = await import('../lib/stage/backup/snapshot.ts');
    const kind = kinds.find((known) => known === (options.kind ?? 'auto'));
    if (!kind) {
      throw new ToolError(`KIND=${options.kind} is not a kind of backup`, {
        kind: 'usage',
        hint: `use ${kinds.join(', ')}`,
      });
    }
    await checkAccess(context.bucket);
    const dryRun = options['dry-run'] !== undefined;
    const request = { kind, ifDue: options['if-due'] !== undefined, dryRun };
    const { results, exitCode } = await forEachSubvolume((subvolume) =>
      prepareSnapshot(context, subvolume, request),
    );
    if (json) {
      console.log(
        JSON.stringify({ dry_run: dryRun, subvolumes: results.map(([name, plan]) => ({ name, ...plan })) }),
      );
      return exitCode;
    }
    const rows: string[][] = [];
    for (const [name, plan] of results) {
      if ('next' in plan) console.log(nothingDueText(name, plan));
      else if (plan.kind === 'none') console.log(printable(`${name}: nothing to do: ${plan.reason}`));
      else rows.push([name, plan.kind, plan.reason, plan.snapshotPath ?? '(dry run)']);
    }
    if (rows.length > 0) console.log(formatTable(['SUBVOLUME', 'KIND', 'WHY', 'SNAPSHOT'], rows));
    return exitCode;
  },
});

function nothingDueText(name: string, { next, reason }: NothingDue): string {
  const when = next.due_at.replace('T', ' ').replace(/:\d\dZ$/, ' UTC');
  return printable(`${name}: next ${next.kind} due ${when}; ${reason}`);
}
