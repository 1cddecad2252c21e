/** What became of the tests of one target, by feature: the summary that stands below a run. */
import type { Feature } from '../../testing/harness/servers/features.ts';

type Count = Readonly<{ passed: number; skipped: number; failed: number }>;

const none: Count = { passed: 0, skipped: 0, failed: 0 };

/** Counts as the tests go. What belongs to no feature is counted as basics. */
export class Outcomes {
  readonly #counts = new Map<Feature | 'basics', Count>();

  count(feature: Feature | undefined, outcome: keyof Count): void {
    const key = feature ?? 'basics';
    const before = this.#counts.get(key) ?? none;
    this.#counts.set(key, { ...before, [outcome]: before[outcome] + 1 });
  }

  /** One line of totals, and one for each feature whose tests did not all run and pass. */
  summary(name: string): string {
    const all = [...this.#counts].sort(([a], [b]) => a.localeCompare(b));
    const total = (outcome: keyof Count) => all.reduce((sum, [, count]) => sum + count[outcome], 0);
    const lines = all.flatMap(([feature, { passed, skipped, failed }]) => [
      ...(skipped > 0 ? [line('skipped', skipped, skipped, feature)] : []),
      ...(failed > 0 ? [line('failed', failed, failed + passed, feature)] : []),
    ]);
    const totals = `${total('passed')} passed, ${total('skipped')} skipped, ${total('failed')} failed`;
    return [`S3 contract, ${name}: ${totals}`, ...lines].join('\n');
  }
}

function line(what: string, count: number, of: number, feature: string): string {
  return `  ${what.padEnd(7)} ${String(count).padStart(3)} of ${String(of).padStart(2)}  ${feature}`;
}
