/** The options by which a backup is planned. */
import { ToolError } from '../../core/errors.ts';
import type { SnapshotRequest } from '../../stage/backup/snapshot.ts';
import { subvolumeOption } from './help.ts';
import type { OptionValues } from './parse-options.ts';

const kinds = ['auto', 'full', 'incremental'] as const;

/** Of the scripts that plan backups. */
export const planningOptions = {
  subvolume: subvolumeOption,
  kind: { type: 'string', value: 'KIND', about: `${kinds.join(', ')} (default: auto)` },
  'if-due': {
    type: 'boolean',
    about: 'only what FULL_EVERY or INCREMENTAL_EVERY makes due, or is unfinished',
  },
  'dry-run': { type: 'boolean', about: 'print the plan and do nothing' },
} as const;

/** What is asked for. @throws ToolError (usage) for a kind that is none */
export function readSnapshotRequest(options: OptionValues<keyof typeof planningOptions>): SnapshotRequest {
  const kind = kinds.find((known) => known === (options.kind ?? 'auto'));
  if (!kind) {
    throw new ToolError(`KIND=${options.kind} is not a kind of backup`, {
      kind: 'usage',
      hint: `use ${kinds.join(', ')}`,
    });
  }
  return { kind, ifDue: options['if-due'] !== undefined, dryRun: options['dry-run'] !== undefined };
}
