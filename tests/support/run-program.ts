/** Other processes that tests start: scripts of this repository and short programs in its language. */
import { spawn } from 'node:child_process';
import { repositoryRoot } from '../../testing/harness/test-directory.ts';

/** What a program left. */
export interface Outcome {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The environment of a bare host: no credentials, no settings. */
export const bareEnvironment = () => ({
  PATH: process.env.PATH ?? '',
  HOME: '/nonexistent',
  AWS_EC2_METADATA_DISABLED: 'true',
});

/**
 * Runs a script of the repository as make does, or node with these arguments and TypeScript; with a bare environment, in the
 * repository, to its end.
 */
export async function runNode(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const env = { ...bareEnvironment(), ...environment };
  const isScript = args[0]?.startsWith('scripts/') === true;
  const command = isScript ? ['scripts/tsx.sh'] : [process.execPath, '--import', 'tsx'];
  const [program = '', ...rest] = [...command, ...args];
  const child = spawn(program, rest, { cwd: repositoryRoot, env });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { exitCode, stdout, stderr };
}

/** Runs TypeScript that stands in a string; it imports by paths from the repository's root, such as `./lib/…`. */
export function runCode(code: string, environment: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  return runNode(['--input-type=module', '--eval', code], environment);
}
