/** Questions on a terminal. Ctrl-C, Ctrl-D and a terminal that is closed end them as a signal ends a run. */
import { createInterface, type Interface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { ToolError } from '../../core/errors.ts';
import { printable } from '../../core/printable.ts';
import { tableWidth, wrap } from '../reports/table.ts';

/** A question, and what is wrong with an answer. */
export interface Question {
  readonly text: string;
  /** Taken where the answer is empty. */
  readonly preset?: string | undefined;
  /** What is typed is not shown. */
  readonly isSecret?: boolean;
  /** Why an answer is refused; undefined where it is good. */
  readonly check?: (answer: string) => Promise<string | undefined> | string | undefined;
}

/** One of several answers. */
export interface Choice<Value extends string> {
  readonly value: Value;
  readonly label: string;
}

/** Asks a person. */
export class Prompter {
  readonly #lines: Interface;
  readonly #ended = new AbortController();
  #isMuted = false;

  constructor() {
    const output = new Writable({
      write: (bytes: Buffer, _, done) => {
        if (!this.#isMuted) process.stdout.write(bytes);
        done();
      },
    });
    // Without it readline takes the terminal for endless, and puts what is typed into the wrong column.
    Object.defineProperty(output, 'columns', { get: () => process.stdout.columns });
    this.#lines = createInterface({ input: process.stdin, output, terminal: true });
    const stop = () => this.#ended.abort();
    this.#lines.once('SIGINT', stop);
    this.#lines.once('close', stop);
    // Of a terminal that was closed (EIO). Unheard it would end the process before what was made is removed.
    this.#lines.on('error', stop);
  }

  say(text: string): void {
    const rows = text.split('\n').flatMap((line) => wrap(line, tableWidth()));
    process.stdout.write(`${rows.join('\n')}\n`);
  }

  /** @throws ToolError (interrupted) */
  async ask({ text, preset, isSecret, check }: Question): Promise<string> {
    // readline cuts a prompt anywhere. What does not fit into its line is said before.
    const hint = preset === undefined || preset === '' ? '' : ` [${printable(preset)}]`;
    for (;;) {
      const rows = wrap(`${text}${hint}:`, tableWidth() - 1);
      for (const row of rows.slice(0, -1)) this.say(row);
      const typed = (await this.#read(`${rows.at(-1)} `, isSecret === true)).trim();
      const answer = typed === '' ? (preset ?? '') : typed;
      const problem = answer === '' && preset === undefined ? 'an answer is needed' : await check?.(answer);
      if (problem === undefined) return answer;
      this.say(`  ${printable(problem)}`);
    }
  }

  /** @throws ToolError (interrupted) */
  async confirm(text: string, preset: boolean): Promise<boolean> {
    const check = (answer: string) => (/^(y|yes|n|no)$/i.test(answer) ? undefined : 'answer y or n');
    const answer = await this.ask({ text: `${text} (y/n)`, preset: preset ? 'y' : 'n', check });
    return /^y/i.test(answer);
  }

  /** @throws ToolError (interrupted) */
  async choose<Value extends string>(
    text: string,
    choices: readonly Choice<Value>[],
    preset: Value,
  ): Promise<Value> {
    this.say(text);
    for (const [index, { label }] of choices.entries()) this.say(`  ${index + 1}  ${label}`);
    const numberOf = (value: string) => choices.findIndex((choice) => choice.value === value) + 1;
    const meant = (answer: string) =>
      choices[Number(answer) - 1] ?? choices.find(({ value }) => value === answer);
    const check = (answer: string) => (meant(answer) ? undefined : `answer 1 to ${choices.length}`);
    const answer = await this.ask({ text: 'Number', preset: String(numberOf(preset)), check });
    return meant(answer)?.value ?? preset;
  }

  close(): void {
    this.#lines.removeAllListeners('close');
    this.#lines.close();
  }

  async #read(prompt: string, isSecret: boolean): Promise<string> {
    const { signal } = this.#ended;
    try {
      process.stdout.write(isSecret ? prompt : '');
      this.#isMuted = isSecret;
      return await this.#lines.question(isSecret ? '' : prompt, { signal });
    } catch (cause) {
      if (!signal.aborted) throw cause;
      process.stdout.write('\n');
      throw new ToolError('stopped: no settings were written', { kind: 'interrupted', cause });
    } finally {
      this.#isMuted = false;
      if (isSecret) process.stdout.write('\n');
    }
  }
}
