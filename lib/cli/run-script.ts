/** The beginning of every script. What a run needs is loaded by a run, and not by `--help`. */
import { helpText } from './options/help.ts';
import { parseOptions } from './options/parse-options.ts';
import type { ScriptDefinition } from './options/script-definition.ts';
import { surviveClosedTerminal, watchOutput } from './output.ts';

/** What a script is called, what it does, and its flags. */
export type ScriptNotes<Name extends string> = Pick<ScriptDefinition<Name>, 'file' | 'summary' | 'options'>;

/** Runs a script and ends the process with the exit code that `--help` documents. */
export async function runScript<Name extends string>(definition: ScriptDefinition<Name>): Promise<void> {
  await runWith(definition, async () => {
    const { execute } = await import('./execute.ts');
    return execute(definition);
  });
}

/** The same for a script that cannot rely on settings and bucket. @param work gives the exit code */
export async function runWith<Name extends string>(
  notes: ScriptNotes<Name>,
  work: () => Promise<number>,
): Promise<void> {
  const outputFailure = watchOutput();
  surviveClosedTerminal();
  let exitCode = 0;
  if (isAskedForHelp(notes)) {
    process.stdout.write(`${helpText(notes.file, notes.summary, notes.options)}\n`);
  } else exitCode = await work();
  const failure = await outputFailure();
  if (failure) process.stderr.write(`${notes.file}: cannot write to stdout: ${failure.message}\n`);
  process.exit(failure ? exitCode || 1 : exitCode);
}

function isAskedForHelp<Name extends string>({ file, options }: ScriptNotes<Name>): boolean {
  try {
    return parseOptions(file, options).help;
  } catch {
    // The run reports it: it finds the same.
    return false;
  }
}
