/** What a demonstration says: numbered steps, facts, the commands it types, what they answer, and what was proved. */
import { chalk } from 'zx';

/** The voice of one demonstration. Colours are used on a terminal only; NO_COLOR turns them off there too. */
export interface Narrator {
  /** A line without indentation. */
  say(text: string): void;
  /** Begins the next step. */
  step(title: string): void;
  /** Something to know about the current step. */
  fact(text: string): void;
  /** A command line, as a person would type it. */
  command(line: string): void;
  /** A line of what a command answered. */
  answer(line: string): void;
  /** A claim that has just been shown to hold, and what exactly was compared. */
  prove(claim: string, detail: string): void;
  /** The claims so far, each with the number of its step. */
  readonly proofs: readonly { readonly step: number; readonly claim: string }[];
}

/** @param write takes whole lines, without their line break. */
export function createNarrator(write: (line: string) => void): Narrator {
  const proofs: { step: number; claim: string }[] = [];
  let step = 0;
  const indent = '    ';
  return {
    proofs,
    say: write,
    step(title) {
      step += 1;
      write('');
      write(chalk.bold(`${String(step).padStart(2)}  ${title}`));
    },
    fact: (text) => write(`${indent}${text}`),
    command(line) {
      write('');
      write(`${indent}${chalk.cyan(`$ ${line}`)}`);
    },
    answer: (line) => write(`${indent}${chalk.dim('│')} ${line}`),
    prove(claim, detail) {
      proofs.push({ step, claim });
      write(`${indent}${chalk.green('✓')} ${claim}`);
      write(`${indent}  ${detail}`);
    },
  };
}
