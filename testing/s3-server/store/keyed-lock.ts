/** Serialises work by name: two conditional writes of one key decide one after the other. */
export class KeyedLock {
  readonly #tails = new Map<string, Promise<void>>();

  /** Runs `work` after all earlier work of the same name has settled, and returns or throws what it does. */
  async run<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    const before = this.#tails.get(name) ?? Promise.resolve();
    const mine = before.then(work);
    // The tail only says "settled"; whoever called `run` gets the error.
    const tail = mine.then(
      () => undefined,
      () => undefined,
    );
    this.#tails.set(name, tail);
    try {
      return await mine;
    } finally {
      if (this.#tails.get(name) === tail) {
        this.#tails.delete(name);
      }
    }
  }
}
