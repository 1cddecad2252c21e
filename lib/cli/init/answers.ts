/** The answers so far. Each is checked when it is given, from SET= as from a person. */
import { ToolError } from '../../core/errors.ts';
import { secretVariables } from '../../core/settings/keys.ts';
import { readSettingLine } from '../../core/settings/lines.ts';
import { isSettingKey, resolveSettings } from '../../core/settings/settings.ts';
import type { Prompter, Question } from './prompter.ts';

/** How the value of a setting is asked for. */
export interface Asked extends Question {
  readonly key: string;
  /** True where a script may leave it out although it has no default. */
  readonly isOptional?: boolean;
}

/** Settings by key, in the order in which they were given. */
export class Answers {
  readonly values = new Map<string, string>();
  readonly #given: ReadonlyMap<string, string>;
  readonly #missing: string[] = [];
  readonly prompter: Prompter | undefined;

  /**
   * @param sets `KEY=VALUE`, which are not asked for
   * @param prompter undefined where there is no terminal
   * @throws ToolError (usage) for a pair that no settings file could have
   */
  constructor(sets: readonly string[], prompter: Prompter | undefined) {
    this.prompter = prompter;
    this.#given = new Map(sets.map(readPair));
  }

  given(key: string): string | undefined {
    return this.#given.get(key);
  }

  /** Asks for a setting; the answer is kept. Empty where it was left out. @throws ToolError (usage) for one of SET= that is wrong */
  async ask({ key, isOptional, check, ...question }: Asked): Promise<string> {
    const problemOf = async (answer: string) => ruleProblem(key, answer) ?? (await check?.(answer));
    const given = this.#given.get(key) ?? (this.prompter ? undefined : question.preset);
    if (given !== undefined) {
      const problem = given === '' ? undefined : await problemOf(given);
      if (problem !== undefined) throw new ToolError(`SET: ${key} ${problem}`, { kind: 'usage' });
      return this.keep(key, given);
    }
    if (this.prompter) return this.keep(key, await this.prompter.ask({ ...question, check: problemOf }));
    if (isOptional !== true) this.#missing.push(key);
    return '';
  }

  /** Keeps a setting; an empty one is left out. */
  keep(key: string, value: string): string {
    if (value !== '') this.values.set(key, value);
    return value;
  }

  /** Takes over what SET= has beside what was asked for, and refuses what does not fit together. @throws ToolError (usage) */
  finish(): void {
    for (const [key, value] of this.#given) if (!this.values.has(key)) this.keep(key, value);
    if (this.#missing.length > 0) {
      throw new ToolError(`there is no terminal to ask on, and SET= lacks ${this.#missing.join(', ')}`, {
        kind: 'usage',
        hint: 'make init SET="SUBVOLUMES=/data S3_BUCKET=my-backups AWS_REGION=eu-central-1"',
      });
    }
    const { problems } = resolveSettings(this.lines());
    const [problem] = problems;
    if (problem) throw new ToolError(`${problem.key ?? 'the settings'} ${problem.reason}`, { kind: 'usage' });
  }

  lines() {
    return [...this.values].map(([key, value]) => ({ key, value, line: 0 }));
  }
}

/** Why a value is none of its key's; undefined for a good one. What does not fit to others is judged at the end. */
function ruleProblem(key: string, value: string): string | undefined {
  const { values, problems } = resolveSettings([{ key, value, line: 0 }]);
  // A value that its rule takes has become one.
  if (isSettingKey(key) && Object.hasOwn(values, key)) return undefined;
  return problems.find(({ line }) => line === 0)?.reason;
}

function readPair(text: string): readonly [string, string] {
  const pair = readSettingLine(text);
  if ('reason' in pair) throw new ToolError(`SET: ${pair.key ?? 'a word'} ${pair.reason}`, { kind: 'usage' });
  if (secretVariables.some((secret) => secret === pair.key)) {
    throw new ToolError(`SET: ${pair.key} is a secret, which others can see in the list of processes`, {
      kind: 'usage',
      hint: 'leave it out: make init asks for it, or takes it from the environment',
    });
  }
  const problem = ruleProblem(pair.key, pair.value);
  if (problem !== undefined) throw new ToolError(`SET: ${pair.key} ${problem}`, { kind: 'usage' });
  return [pair.key, pair.value];
}
