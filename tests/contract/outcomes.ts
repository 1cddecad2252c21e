/** What became of the tests of one target, by feature: the summary that stands below a run. */
import type { Feature } from '../../testing/harness/servers/features.ts';

/** Counts as the tests go. */
export class Outcomes {
  #passed = 0;
  readonly #skipped = new Map<Feature, number>();
  readonly #failed = new Map<Feature | 'basics', number>();

  pass(): void {
    this.#passed += 1;
  }

  skip(feature: Feature): void {
    this.#skipped.set(feature, (this.#skipped.get(feature) ?? 0) + 1);
  }

  fail(feature: Feature | undefined): void {
    this.#failed.set(feature ?? 'basics', (this.#failed.get(feature ?? 'basics') ?? 0) + 1);
  }

  /** One line of totals, and one for each feature whose tests did not all run and pass. */
  summary(name: string): string {
    const skipped = [...this.#skipped.values()].reduce((sum, count) => sum + count, 0);
    const failed = [...this.#failed.values()].reduce((sum, count) => sum + count, 0);
    return [
      `S3 contract, ${name}: ${this.#passed} passed, ${skipped} skipped, ${failed} failed`,
      ...listed('skipped', this.#skipped),
      ...listed('failed ', this.#failed),
    ].join('\n');
  }
}

function listed(what: string, counts: ReadonlyMap<string, number>): string[] {
  return [...counts].sort().map(([feature, count]) => `  ${what} ${String(count).padStart(3)}  ${feature}`);
}
