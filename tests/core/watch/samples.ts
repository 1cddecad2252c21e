/** Facts of which metrics are made, for tests. */
import type { SubvolumeHealth } from '../../../lib/core/watch/health.ts';
import type { KnownFacts } from '../../../lib/core/watch/metrics.ts';
import type { RunRecord } from '../../../lib/core/watch/run-record.ts';

/** A subvolume that is well. */
export const healthy: SubvolumeHealth = {
  looked_at: '2026-11-28T03:00:00.000Z',
  newest: { kind: 'incremental', created_at: '20261128T020000Z', bytes: 2_000_000, manifest_key: 'key' },
  chain: { backups: 3, bytes: 9_000_000, full_at: '20261101T020000Z' },
  why_not: null,
  due: { kind: 'incremental', at: '2026-12-05T02:00:00.000Z' },
  stored_bytes: { DEEP_ARCHIVE: 9_000_000, STANDARD: 2000 },
  dollars_per_month: 1.5,
  drill: { at: '2026-11-20T01:00:00.000Z', created_at: '20261115T020000Z', is_sound: true },
  drills_failed: null,
};

/** A run of a command that went well for one subvolume, called `data`. */
export function goodRun(command: string, outcome: 'published' | 'sound'): RunRecord {
  const published =
    outcome === 'published'
      ? {
          kind: 'incremental' as const,
          created_at: '20261128T020000Z',
          manifest_key: 'key',
          bytes: 2_000_000,
          chunks: 1,
          seconds: 8,
          chain_length: 3,
        }
      : null;
  const at = '2026-11-28T03:00:00.000Z';
  return {
    version: 1,
    command,
    place: 'my-backups/host-1',
    started_at: '2026-11-28T02:00:00.000Z',
    finished_at: at,
    exit_code: 0,
    done_at: at,
    problem: null,
    subvolumes: { data: { finished_at: at, outcome, problem: null, ok_at: at, published } },
  };
}

/** A host that is well. */
export const wellKnown: KnownFacts = {
  bucket: 'my-backups',
  prefix: 'host-1',
  runs: [goodRun('backup', 'published'), goodRun('verify', 'sound')],
  health: { data: healthy },
  verifyEverySeconds: 30 * 86_400,
  drillEverySeconds: 30 * 86_400,
};
