/** A command in a terminal: script(1) gives it one, and an emulator holds what a person would see. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import xterm from '@xterm/headless';
import { repositoryRoot } from '../test-directory.ts';

/** Characters. */
export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** A command under way in a terminal. */
export interface RunningTerminal {
  readonly child: ChildProcess;
  readonly emulator: InstanceType<typeof xterm.Terminal>;
  /** Everything that stands in the terminal now, what was scrolled away included, without trailing blanks. */
  readonly lines: () => Promise<readonly string[]>;
  /** The exit code of the command. */
  readonly ended: Promise<number | null>;
}

/** Starts a shell command in the repository. `environment` is all that it gets beside PATH and TERM. */
export function startInTerminal(
  command: string,
  { columns, rows }: TerminalSize,
  environment: Readonly<Record<string, string>> = {},
): RunningTerminal {
  const emulator = new xterm.Terminal({ cols: columns, rows, scrollback: 5000, allowProposedApi: true });
  const sized = `stty cols ${columns} rows ${rows}; ${command}`;
  const child = spawn('script', ['--quiet', '--return', '--command', sized, '/dev/null'], {
    cwd: repositoryRoot,
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH, SHELL: '/bin/bash', TERM: 'xterm-256color', ...environment },
  });
  child.stdout.on('data', (bytes: Buffer) => emulator.write(bytes));
  const ended = once(child, 'close').then(([exitCode]: readonly unknown[]) => exitCode as number | null);
  return { child, emulator, lines: () => linesOf(emulator), ended };
}

async function linesOf(emulator: RunningTerminal['emulator']): Promise<readonly string[]> {
  // What was written before is parsed first.
  await new Promise<void>((resolve) => emulator.write('', resolve));
  const { active } = emulator.buffer;
  const lines: string[] = [];
  for (let y = 0; y < active.length; y += 1) {
    const line = active.getLine(y);
    const text = line?.translateToString(true) ?? '';
    // A long line that the terminal wrapped is one line.
    if (line?.isWrapped && lines.length > 0) lines.push(`${lines.pop()}${text}`);
    else lines.push(text);
  }
  while (lines.at(-1) === '') lines.pop();
  return lines;
}
