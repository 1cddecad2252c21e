/** recover.sh as it is run where there is nothing but what it says it needs: no node, no checkout, no other program. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import type { Outcome } from './run-program.ts';

/** What it needs, beside coreutils. */
const programs = ['jq', 'zstd', 'age', 'ssh-keygen', 'btrfs', 'bash'];

/** What it needs of coreutils. */
const coreutils =
  'basename base64 cat cp cut dd df dirname head ls mkdir mktemp mv numfmt od paste rm sha256sum sleep sort stat sync tail tee touch tr'.split(
    ' ',
  );

/** A run of the script, in a process group of its own. */
export interface RecoverRun {
  readonly child: ChildProcess;
  readonly done: Promise<Outcome>;
}

/** A host that has only these programs and a copy of the script. */
export interface BareHost {
  /** Begins `recover.sh WORDS…`. */
  start(...words: readonly string[]): RecoverRun;
  /** Runs it to its end. */
  recover(...words: readonly string[]): Promise<Outcome>;
  /** Adds a program to those that it has. */
  has(program: string): Promise<void>;
}

/** Where a program is; Debian's own comes before one that a user has installed. */
function pathOf(program: string): string {
  const places = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', ...(process.env.PATH ?? '').split(delimiter)];
  const found = places.map((place) => join(place, program)).find((path) => existsSync(path));
  if (found === undefined) throw new Error(`${program} is not installed: make test installs it`);
  return found;
}

/**
 * Makes such a host in a directory.
 * @param script what the bucket has as recover.sh
 * @param environment credentials of the bucket, as the aws command takes them
 * @param aws the program that is used as aws; by default the real one
 */
export async function bareHost(
  directory: string,
  script: string,
  environment: Readonly<Record<string, string>> = {},
  aws: string = pathOf('aws'),
): Promise<BareHost> {
  const [bin, home] = [join(directory, 'bare-bin'), join(directory, 'bare-home')];
  for (const path of [directory, bin, home]) await mkdir(path, { recursive: true });
  for (const program of [...programs, ...coreutils]) await symlink(pathOf(program), join(bin, program));
  // It may be a program of Python or a shim of pyenv, which need what the script does not.
  const around = `#!/bin/bash\nPATH='${process.env.PATH}' exec '${aws}' "$@"\n`;
  await writeFile(join(bin, 'aws'), around, { mode: 0o755 });
  const path = join(home, 'recover.sh');
  await writeFile(path, script);
  const start = (...words: readonly string[]): RecoverRun => {
    const child = spawn(join(bin, 'bash'), ['--norc', path, ...words], {
      cwd: home,
      env: { PATH: bin, HOME: home, TMPDIR: home, AWS_EC2_METADATA_DISABLED: 'true', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const done = new Promise<Outcome>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (exitCode) => resolve({ exitCode, stdout, stderr }));
    });
    return { child, done };
  };
  return {
    start,
    recover: (...words) => start(...words).done,
    has: (program) => symlink(pathOf(program), join(bin, program)),
  };
}
