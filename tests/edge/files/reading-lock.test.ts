/** The lock that restores share and a prune has alone, also where they run as different users. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { ToolError } from '../../../lib/core/errors.ts';
import { lockForDeleting, lockForReading } from '../../../lib/edge/files/reading-lock.ts';
import { repositoryRoot } from '../../../testing/harness/test-directory.ts';
import { runCode } from '../../support/run-program.ts';

const nobody = 65534;
// Another user may not enter the checkout.
const place = await mkdtemp(join(tmpdir(), 'reading-lock-'));
await chmod(place, 0o755);
after(() => rm(place, { recursive: true }));

/** A RUN_DIR of another user, in which a restore by root has been. */
async function runDirectoryOf(name: string, uid: number): Promise<string> {
  const directory = join(place, name);
  await mkdir(directory, { mode: 0o700 });
  await chown(directory, uid, uid);
  return directory;
}

test('restores share it; a prune waits for none of them, and exits 3', async () => {
  const directory = await runDirectoryOf('shared', 0);
  const [first, second] = [await lockForReading(directory), await lockForReading(directory)];
  const isLocked = ({ kind, message }: ToolError) => kind === 'locked' && /a restore, drill or/.test(message);
  await assert.rejects(lockForDeleting(directory), isLocked);
  await first?.release();
  await assert.rejects(lockForDeleting(directory), isLocked);
  await second?.release();
  const prune = await lockForDeleting(directory);
  assert.equal(await lockForReading(directory), undefined);
  await prune.release();
});

test('what a restore by root has made is no obstacle to a prune of the user that RUN_DIR belongs to', async () => {
  const directory = await runDirectoryOf('mixed', nobody);
  // Another user may not enter the checkout: all that is needed is loaded before, and zx keeps the directory in which it was.
  const outcome = await runCode(`
    process.chdir(${JSON.stringify(place)});
    const { lockForDeleting, lockForReading } = await import('${repositoryRoot}/lib/edge/files/reading-lock.ts');
    process.umask(0o077);
    const directory = ${JSON.stringify(directory)};
    await (await lockForReading(directory)).release();
    process.setegid(${nobody});
    process.seteuid(${nobody});
    const prune = await lockForDeleting(directory);
    process.seteuid(0);
    console.log(await lockForReading(directory));
    await prune.release();
  `);
  assert.deepEqual(outcome, { exitCode: 0, stdout: 'undefined\n', stderr: '' });
});

test('without RUN_DIR a restore holds nothing, and makes none', async () => {
  const directory = join(place, 'missing');
  await (await lockForReading(directory))?.release();
  assert.equal(existsSync(directory), false);
});
