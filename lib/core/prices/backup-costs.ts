/** What the backups of a bucket cost a month, each by itself and with the chain that it needs. */
import { storageCost } from './costs.ts';
import type { RegionPrices } from './price-file.ts';

/** A backup, as far as its cost goes by it. */
export interface CostedBackup {
  readonly manifest_key: string;
  readonly parent_manifest: string | null;
  readonly bytes: number;
  /** One class; several, separated by commas, have no price here. */
  readonly storage_class: string | null;
}

/** Dollars a month; null where they are not known. */
export interface BackupCost {
  readonly own: number | null;
  /** Of all backups that a restore needs. */
  readonly chain: number | null;
}

/** By the keys of manifests. */
export function costBackups(
  backups: readonly CostedBackup[],
  prices: RegionPrices | undefined,
): ReadonlyMap<string, BackupCost> {
  const byKey = new Map(backups.map((backup) => [backup.manifest_key, backup]));
  const ownCost = ({ bytes, storage_class }: CostedBackup) =>
    storageCost({ [storage_class ?? '']: bytes }, prices) ?? null;
  const chainCost = (backup: CostedBackup): number | null => {
    let sum = 0;
    const seen = new Set<string>();
    for (let at: CostedBackup | undefined = backup; at; at = byKey.get(at.parent_manifest ?? '')) {
      const own = ownCost(at);
      const isBroken =
        seen.has(at.manifest_key) || (at.parent_manifest !== null && !byKey.has(at.parent_manifest));
      if (own === null || isBroken) return null;
      seen.add(at.manifest_key);
      sum += own;
    }
    return sum;
  };
  return new Map(
    backups.map((backup) => [backup.manifest_key, { own: ownCost(backup), chain: chainCost(backup) }]),
  );
}
