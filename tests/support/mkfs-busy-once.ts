/** A `mkfs.btrfs` that meets, once, a loop device which goes at that moment. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Outcome, runCode } from './run-program.ts';

/** Runs TypeScript (see `runCode`) with that program first in PATH. @param directory in which it is made */
export function runWithBusyMkfs(directory: string, code: string): Promise<Outcome> {
  const bin = mkdtempSync(join(directory, 'mkfs-'));
  const program = `#!/bin/sh
[ -e ${bin}/tried ] && exec /usr/sbin/mkfs.btrfs "$@"
: > ${bin}/tried
echo 'ERROR: cannot check mount status of image: No such device or address' >&2
exit 1
`;
  writeFileSync(join(bin, 'mkfs.btrfs'), program, { mode: 0o755 });
  return runCode(code, { PATH: `${bin}:${process.env.PATH}` });
}
