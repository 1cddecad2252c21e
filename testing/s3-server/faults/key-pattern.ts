/** Key patterns, as fault rules and permissions have them: `*` stands for any text, everything else for itself. */

/** Whether a key fits a pattern such as `host/*` or `*.json`. */
export function matchesKey(pattern: string, key: string): boolean {
  const literals = pattern.split('*').map((text) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  // A key may hold line breaks, so the dot has to stand for them too.
  return new RegExp(`^${literals.join('.*')}$`, 's').test(key);
}
