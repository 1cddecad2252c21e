/** A stand-in for the `btrfs` command, for what the real one does only on a bad day. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Puts a shell script named `btrfs` first in PATH while `action` runs. */
export async function withFakeBtrfs<Result>(
  directory: string,
  script: string,
  action: () => Promise<Result>,
): Promise<Result> {
  const bin = join(directory, 'bin');
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, 'btrfs'), `#!/bin/bash\n${script}\n`);
  chmodSync(join(bin, 'btrfs'), 0o755);
  const before = process.env.PATH;
  process.env.PATH = `${bin}:${before}`;
  try {
    return await action();
  } finally {
    process.env.PATH = before;
  }
}
