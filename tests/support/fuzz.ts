/** How long tests with random input look for trouble. */

/** Runs of a property: a short search by default, `FUZZ=100` times as long for who has the time. */
export function runs(short: number): { readonly numRuns: number } {
  const factor = Number(process.env.FUZZ ?? 1);
  if (!(factor > 0)) throw new Error('FUZZ is not a number above 0');
  return { numRuns: Math.ceil(short * factor) };
}
