/** Bounded concurrency for work that is fed one piece at a time: at most `limit` tasks run, the next feeder waits. */

/** Runs tasks; the first failure is kept and reported to `onFailure`, so that the feeder can be stopped. */
export class TaskGate {
  readonly #limit: number;
  readonly #onFailure: (error: unknown) => void;
  readonly #running = new Set<Promise<void>>();

  constructor(limit: number, onFailure: (error: unknown) => void) {
    this.#limit = limit;
    this.#onFailure = onFailure;
  }

  /** Starts a task as soon as there is room; resolves when it has begun, with the promise of its end. */
  async start(task: () => Promise<void>): Promise<{ readonly done: Promise<void> }> {
    while (this.#running.size >= this.#limit) await Promise.race(this.#running);
    const done = task();
    const settled = done.catch(this.#onFailure).finally(() => this.#running.delete(settled));
    this.#running.add(settled);
    return { done };
  }

  /** Resolves when no task runs any more, however they ended. */
  async idle(): Promise<void> {
    await Promise.all(this.#running);
  }
}
