/** The environment of the process, which the files of one folder share. */
import type { TestContext } from 'node:test';

/** Sets variables for the rest of a test, each once, or removes them where undefined is given. */
export function changeEnvironment(
  test: TestContext,
  changes: Readonly<Record<string, string | undefined>>,
): void {
  for (const [name, value] of Object.entries(changes)) {
    const before = process.env[name];
    setVariable(name, value);
    test.after(() => setVariable(name, before));
  }
}

function setVariable(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}
