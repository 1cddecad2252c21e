/** The beginning of every script. What a run needs is loaded by a run, and not by `--help`. */
import { helpText } from './options/help.ts';
import { parseOptions } from './options/parse-options.ts';
import type { ScriptDefinition } from './options/script-definition.ts';
import { watchOutput } from './output.ts';

/** Runs a script and ends the process with the exit code that `--help` documents. */
export async function runScript<Name extends string>(definition: ScriptDefinition<Name>): Promise<void> {
  const outputFailure = watchOutput();
  let exitCode = 0;
  if (isAskedForHelp(definition)) {
    process.stdout.write(`${helpText(definition.file, definition.summary, definition.options)}\n`);
  } else {
    const { execute } = await import('./execute.ts');
    exitCode = await execute(definition);
  }
  const failure = await outputFailure();
  if (failure) process.stderr.write(`${definition.file}: cannot write to stdout: ${failure.message}\n`);
  process.exit(failure ? exitCode || 1 : exitCode);
}

function isAskedForHelp<Name extends string>({ file, options }: ScriptDefinition<Name>): boolean {
  try {
    return parseOptions(file, options).help;
  } catch {
    // Told by the run, which finds the same.
    return false;
  }
}
