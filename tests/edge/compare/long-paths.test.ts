/** Trees with the longest paths that can be restored, below directories whose own names are long. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { compareTrees } from '../../../lib/edge/compare/compare-trees.ts';
import { dryRunRsync } from '../../../lib/edge/compare/rsync-dry-run.ts';
import { shell } from '../../../testing/harness/processes/shell.ts';
import { testDirectory } from '../../../testing/harness/test-directory.ts';

const directory = mkdtempSync(join(testDirectory(), 'long-paths-'));
// Node gives whole paths to the kernel, rm(1) goes down step by step.
after(() => execFileSync('rm', ['-rf', directory]));

/** Makes a tree whose deepest file, with two names, has paths of 4090 bytes below it. */
async function makeTree(name: string, content: string): Promise<string> {
  const path = join(directory, name);
  const program = `
import os, sys
os.makedirs(sys.argv[1])
os.chdir(sys.argv[1])
for _ in range(16):
    os.mkdir('d' * 250)
    os.chdir('d' * 250)
open('f' * 74, 'w').write(sys.argv[2])
os.link('f' * 74, 'g' * 74)
os.utime('f' * 74, (7, 7))
for _ in range(17):
    os.utime('.', (7, 7))
    os.chdir('..')
`;
  await shell`python3 -c ${program} ${path} ${content}`;
  return path;
}

test('paths that together with the name of their tree are longer than 4096 bytes are compared', async () => {
  const expected = await makeTree('expected', 'deep');
  const long = 'p'.repeat(200);
  const equal = await makeTree(`${long}/equal`, 'deep');
  const other = await makeTree(`${long}/other`, 'flat');
  for (const mode of ['full', 'sample'] as const) {
    const compare = (actual: string) => compareTrees({ expected, actual, mode, sampleFiles: 10 });
    const { entries, contents, totalDifferences } = await compare(equal);
    assert.deepEqual([entries, contents, totalDifferences], [19, 2, 0]);
    const { differences } = await compare(other);
    assert.ok(differences.length > 0);
    assert.ok(differences.every(({ aspects }) => aspects.join() === 'content'));
  }
});

test('what rsync complains of has the name of its tree', async () => {
  const [from, to] = [join(directory, 'complaint'), join(directory, 'none')];
  await shell`mkdir ${from} ${to}`;
  const run = { from, to, options: ['--files-from=-'], input: Buffer.from('missing\0'), signal: undefined };
  await assert.rejects(
    dryRunRsync(run, () => undefined),
    (error: { message: string; childOutput?: string }) => {
      assert.equal(error.message, `cannot compare ${from} with ${to}: rsync failed with exit code 23`);
      assert.match(error.childOutput ?? '', new RegExp(`"${from}/missing" failed: No such file`));
      return true;
    },
  );
});
