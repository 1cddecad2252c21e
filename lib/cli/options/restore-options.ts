/** What `restore.ts` is asked: its options, checked against each other. */
import { ToolError } from '../../core/errors.ts';
import type { VerifyMode } from '../../stage/restore/compare-restored.ts';
import type { RestoreRequest } from '../../stage/restore/restore.ts';
import type { RestoreAllRequest } from '../../stage/restore/restore-all.ts';
import type { OptionDefinition } from './help.ts';
import type { OptionValues } from './parse-options.ts';
import { pointOptions, refuseTwoPoints, thawOptions } from './point-options.ts';
import { readThawTerms } from './thaw-options.ts';

const modes = ['full', 'sample', 'none'] as const;

/** All of them. */
export const restoreOptions = {
  ...pointOptions,
  all: { type: 'boolean', about: 'every subvolume of the host, each below TARGET, a directory' },
  target: {
    type: 'string',
    value: 'PATH',
    about: 'where to: an absolute path on Btrfs that does not exist (required)',
  },
  verify: {
    type: 'string',
    value: 'MODE',
    about: `compare afterwards: ${modes.join(', ')} (default: VERIFY_MODE)`,
  },
  ...thawOptions,
  'read-only': { type: 'boolean', about: 'make TARGET read-only' },
  continue: {
    type: 'boolean',
    about: 'leave in SNAPSHOT_DIR what the next backup builds on: this host continues the chain',
  },
  'no-wait': { type: 'boolean', about: 'exit 5 while chunks thaw, instead of waiting for RESTORE_TIMEOUT' },
  abandon: { type: 'boolean', about: 'remove what a stopped restore to TARGET has left' },
} as const satisfies Record<string, OptionDefinition>;

type Option = keyof typeof restoreOptions;

/** A restore of one backup, or the end of one that was stopped. */
export type RestoreChoice =
  | { readonly mode: 'restore'; readonly request: RestoreRequest }
  | { readonly mode: 'all'; readonly request: RestoreAllRequest }
  | { readonly mode: 'abandon'; readonly target: string };

/**
 * Checks the options of `restore.ts` against each other.
 * @param verifyMode the setting, which VERIFY= replaces
 * @throws ToolError (usage)
 */
export function readRestoreOptions(options: OptionValues<Option>, verifyMode: VerifyMode): RestoreChoice {
  const { subvolume, at, manifest } = options;
  const target = options.target?.replace(/(?<=.)\/+$/, '');
  if (options.abandon !== undefined) {
    if (!target) throw usage('TARGET is not given', 'make restore TARGET=/path ABANDON=1');
    return { mode: 'abandon', target };
  }
  const isAll = options.all !== undefined;
  if (isAll && (subvolume !== undefined || manifest !== undefined)) {
    const other = subvolume === undefined ? 'MANIFEST' : 'SUBVOLUME';
    throw usage(`ALL=1 and ${other} do not go together`, 'make restore ALL=1 TARGET=/directory [AT=time]');
  }
  if (!target || (!isAll && !subvolume)) {
    throw usage(
      `${target ? 'SUBVOLUME' : 'TARGET'} is not given`,
      'make restore SUBVOLUME=name TARGET=/path, or ALL=1 TARGET=/directory; make list shows what there is',
    );
  }
  refuseTwoPoints(at, manifest);
  const mode = modes.find((each) => each === (options.verify ?? verifyMode));
  if (!mode) throw usage(`VERIFY=${options.verify} is not a mode`, `use ${modes.join(', ')}`);
  const common = {
    verifyMode: mode,
    readOnly: options['read-only'] !== undefined,
    continuesChain: options.continue !== undefined,
    thaw: readThawTerms(options),
    mayWait: options['no-wait'] === undefined,
  };
  if (!subvolume) return { mode: 'all', request: { ...common, directory: target, at } };
  return { mode: 'restore', request: { ...common, subvolume, target, selection: { at, manifest } } };
}

function usage(message: string, hint: string): ToolError {
  return new ToolError(message, { kind: 'usage', hint });
}
