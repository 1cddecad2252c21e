/** recover.sh as it is run where there is nothing but what it says it needs: no node, no checkout, no other program. */
import { existsSync } from 'node:fs';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { runProcess, type ScriptResult } from '../end-to-end/world.ts';

/** What recover.sh needs, beside the commands of coreutils that it names itself. */
const programs = ['aws', 'jq', 'zstd', 'age', 'ssh-keygen', 'btrfs', 'bash'];

/** GNU coreutils, as far as the script uses them (its `need` lines, and what every shell user has). */
const coreutils = [
  ...[
    'basename',
    'base64',
    'cat',
    'cp',
    'cut',
    'dd',
    'df',
    'dirname',
    'head',
    'mkdir',
    'mktemp',
    'mv',
    'numfmt',
    'od',
    'paste',
    'rm',
  ],
  ...['sha256sum', 'sleep', 'sort', 'stat', 'tail', 'tee', 'touch', 'tr'],
];

/** A host that has only these programs, a copy of the script, and a directory of its own. */
export interface BareHost {
  /** Runs `recover.sh WORDS…`. */
  recover(...words: readonly string[]): Promise<ScriptResult>;
  readonly environment: Readonly<Record<string, string>>;
  readonly script: string;
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
 * @param credentials of the bucket, as the aws command takes them
 */
export async function bareHost(
  directory: string,
  script: string,
  credentials: Readonly<Record<string, string>>,
): Promise<BareHost> {
  const bin = join(directory, 'bare-bin');
  await mkdir(bin, { recursive: true });
  for (const program of [...programs, ...coreutils]) {
    // Debian's aws and jq find their interpreter by an absolute path.
    await symlink(pathOf(program), join(bin, program));
  }
  const home = join(directory, 'bare-home');
  await mkdir(home, { recursive: true });
  const path = join(home, 'recover.sh');
  await writeFile(path, script);
  await chmod(path, 0o644);
  const environment = { PATH: bin, HOME: home, TMPDIR: home, ...credentials };
  return {
    environment,
    script: path,
    recover: (...words) => runProcess(join(bin, 'bash'), ['--norc', path, ...words], environment),
  };
}
