/** What `thaw.ts` is asked: its options, checked against each other. */
import { resolve } from 'node:path';
import { ToolError } from '../../core/errors.ts';
import { type ThawTier, thawTiers } from '../../core/thaw/archive-classes.ts';
import { MOST_THAW_DAYS } from '../../core/thaw/thaw-plan.ts';
import type { ThawTerms } from '../../edge/s3/thaw-requests.ts';
import type { OptionValues } from './parse-options.ts';
import { type pointOptions, refuseTwoPoints, type thawOptions } from './point-options.ts';

type Option = keyof typeof pointOptions | keyof typeof thawOptions | 'export' | 'dry-run';

/** A thaw of one chain, or a list of the chains of many hosts. */
export type ThawChoice =
  | {
      readonly mode: 'thaw';
      readonly subvolume: string;
      readonly selection: { readonly at: string | undefined; readonly manifest: string | undefined };
      readonly terms: Partial<ThawTerms>;
      readonly isDryRun: boolean;
    }
  | {
      readonly mode: 'export';
      readonly path: string;
      readonly subvolume: string | undefined;
      readonly at: string | undefined;
    };

/** Checks the options of `thaw.ts` against each other. @throws ToolError (usage) */
export function readThawOptions(options: OptionValues<Option>): ThawChoice {
  const { subvolume, at, manifest } = options;
  const isDryRun = options['dry-run'] !== undefined;
  if (options.export !== undefined) {
    const other = (['manifest', 'tier', 'days', 'dry-run'] as const).find(
      (name) => options[name] !== undefined,
    );
    if (options.export === '' || other) {
      throw usage(
        other ? `EXPORT and ${other.toUpperCase().replace('-', '_')} do not go together` : 'EXPORT is empty',
        'make thaw EXPORT=file.csv [SUBVOLUME=name] [AT=time]; tier and days are given to the batch job',
      );
    }
    return { mode: 'export', path: resolve(options.export), subvolume: named(subvolume), at };
  }
  if (!subvolume) {
    throw usage('SUBVOLUME is not given', 'make thaw SUBVOLUME=name; make list shows what there is');
  }
  refuseTwoPoints(at, manifest);
  return { mode: 'thaw', subvolume, selection: { at, manifest }, terms: readThawTerms(options), isDryRun };
}

/** Tier and days in place of RESTORE_TIER and RESTORE_DAYS. @throws ToolError (usage) */
export function readThawTerms({ tier, days }: OptionValues<keyof typeof thawOptions>): Partial<ThawTerms> {
  if (
    days !== undefined &&
    !(/^\d{1,3}$/.test(days) && Number(days) >= 1 && Number(days) <= MOST_THAW_DAYS)
  ) {
    throw usage(`DAYS=${days} is not a number of days`, `use a whole number from 1 to ${MOST_THAW_DAYS}`);
  }
  return {
    ...(tier !== undefined && { tier: tierNamed(tier) }),
    ...(days !== undefined && { days: Number(days) }),
  };
}

function tierNamed(name: string): ThawTier {
  const tier = thawTiers.find((known) => known === name);
  if (tier) return tier;
  throw usage(`TIER=${name} is not a tier`, `use ${thawTiers.join(', ')}`);
}

function named(subvolume: string | undefined): string | undefined {
  if (subvolume?.trim() === '') throw usage('SUBVOLUME= selects nothing', 'leave it out for all subvolumes');
  return subvolume;
}

function usage(message: string, hint: string): ToolError {
  return new ToolError(message, { kind: 'usage', hint });
}
