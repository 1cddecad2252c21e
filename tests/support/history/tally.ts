/** What happened, counted. */

type Kind = 'steps' | 'backups' | 'refusals' | 'restores' | 'failures';

/** Counts by kind and name. */
export class Tally {
  readonly #counts = new Map<Kind, Map<string, number>>();

  count(kind: Kind, name: string, by = 1): void {
    const counts = this.#counts.get(kind) ?? new Map<string, number>();
    this.#counts.set(kind, counts.set(name, (counts.get(name) ?? 0) + by));
  }

  /** The sum of a kind. */
  total(kind: Kind): number {
    return [...(this.#counts.get(kind)?.values() ?? [])].reduce((sum, count) => sum + count, 0);
  }

  /** Takes over the counts of another one. */
  add(other: Tally): void {
    for (const [kind, counts] of other.#counts) {
      for (const [name, count] of counts) this.count(kind, name, count);
    }
  }

  /** One line a name, the most frequent first. */
  lines(kind: Kind): readonly string[] {
    const counts = [...(this.#counts.get(kind) ?? [])].sort(([, a], [, b]) => b - a);
    return counts.map(([name, count]) => `${String(count).padStart(6)}  ${name}`);
  }
}
