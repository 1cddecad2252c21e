/** A uniform sample of a sequence whose length is not known beforehand, in memory bounded by the sample. */

/** A sample that grows while elements are offered. */
export interface Reservoir<T> {
  /** Offers the next element; it may take the place of an earlier one. */
  offer(element: T): void;
  /** The sample so far, in no particular order: all elements while they are not more than the limit. */
  elements(): readonly T[];
}

/**
 * Keeps `limit` of the elements offered, each with the same probability (Vitter's algorithm R, 1985).
 * @param random gives numbers from 0 up to, but without, 1.
 */
export function createReservoir<T>(limit: number, random: () => number = Math.random): Reservoir<T> {
  const sample: T[] = [];
  let offered = 0;
  return {
    offer(element) {
      offered += 1;
      if (sample.length < limit) {
        sample.push(element);
        return;
      }
      const place = Math.floor(random() * offered);
      if (place < limit) sample[place] = element;
    },
    elements: () => sample,
  };
}
