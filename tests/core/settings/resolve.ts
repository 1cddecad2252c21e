import assert from 'node:assert/strict';
import { readSettingLines } from '../../../lib/core/settings/lines.ts';
import { type ResolvedSettings, resolveSettings } from '../../../lib/core/settings/settings.ts';

/** Resolves a settings text whose lines are all well-formed. */
export function resolve(text: string): ResolvedSettings {
  const { lines, problems } = readSettingLines(text);
  assert.deepEqual(problems, []);
  return resolveSettings(lines);
}

/** Asserts that a one-line text has exactly one problem, at its own line and key. */
export function assertProblem(text: string, reason: RegExp): void {
  const { problems } = resolve(text);
  assert.equal(problems.length, 1, JSON.stringify(problems));
  assert.equal(problems[0]?.line, 1);
  assert.equal(problems[0]?.key, text.slice(0, text.indexOf('=')));
  assert.match(problems[0]?.reason ?? '', reason);
}
