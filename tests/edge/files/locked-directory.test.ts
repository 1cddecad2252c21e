import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  type LockedDirectory,
  makeLockedDirectory,
  sweepAbandoned,
} from '../../../lib/edge/files/locked-directory.ts';
import { runCode } from '../../support/run-program.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const root = temporaryDirectory('locked-directory');
let parents = 0;

function makeParent(): string {
  const parent = join(root, String(parents++));
  mkdirSync(parent);
  return parent;
}

const empty = (path: string) => rm(join(path, 'content'), { recursive: true, force: true });
const sweep = (parent: string, anyOwner = false) => sweepAbandoned(parent, 'ours-', empty, anyOwner);

/** As a killed run leaves it. */
async function abandon(parent: string): Promise<string> {
  const code = `import { makeLockedDirectory } from './lib/edge/files/locked-directory.ts';
    import { mkdirSync } from 'node:fs';
    const { path } = await makeLockedDirectory(${JSON.stringify(parent)}, 'ours-');
    mkdirSync(path + '/content/deep', { recursive: true });
    process.kill(process.pid, 'SIGKILL');`;
  const before = readdirSync(parent);
  await runCode(code);
  const [name = ''] = readdirSync(parent).filter((each) => !before.includes(each));
  return join(parent, name);
}

test('a directory is for its owner alone, and gone when it is removed', async () => {
  const parent = makeParent();
  const directory = await makeLockedDirectory(parent, 'ours-');
  assert.match(directory.path, /\/ours-[A-Za-z0-9]{6}$/);
  assert.equal(statSync(directory.path).mode & 0o777, 0o700);
  await directory.remove();
  assert.deepEqual(readdirSync(parent), []);
});

test('where the lock keeps a name while it is open, and for a moment after, the directory goes as well', async () => {
  const parent = makeParent();
  const directory = await makeLockedDirectory(parent, 'ours-');
  // As NFS and FUSE leave it of a file that is removed while it is open.
  const kept = join(directory.path, '.fuse_hidden0001');
  writeFileSync(kept, '');
  setTimeout(() => rmSync(kept), 150);
  await directory.remove();
  assert.deepEqual(readdirSync(parent), []);
  const other = await makeLockedDirectory(parent, 'ours-');
  writeFileSync(join(other.path, 'content'), '');
  await assert.rejects(other.remove(), /ENOTEMPTY/);
});

test('what a killed run has left is removed, and what runs, and what is not ours, stays', async () => {
  const parent = makeParent();
  const dead = await abandon(parent);
  const alive = await makeLockedDirectory(parent, 'ours-');
  const others = ['ours-', 'ours-short', 'ours-longer1', 'ours-ABCDEF', 'theirs-ABCDEF'];
  for (const name of others) {
    mkdirSync(join(parent, name));
    writeFileSync(join(parent, name, 'file'), '');
  }
  writeFileSync(join(parent, 'ours-aFile1'), '');
  symlinkSync(root, join(parent, 'ours-aLink1'));
  const before = readdirSync(parent);
  assert.deepEqual(await sweep(parent), { removed: [dead], failures: [] });
  assert.deepEqual(
    readdirSync(parent),
    before.filter((name) => join(parent, name) !== dead),
  );
  await alive.remove();
});

test('a directory of another user is left alone, but where the filesystem keeps no owners', async () => {
  const parent = makeParent();
  const dead = await abandon(parent);
  chownSync(dead, 1, 1);
  assert.deepEqual(await sweep(parent), { removed: [], failures: [] });
  assert.deepEqual(await sweep(parent, true), { removed: [dead], failures: [] });
});

test('one that cannot be removed is named, keeps its lock file, and the others go', async () => {
  const parent = makeParent();
  const [first, second] = [await abandon(parent), await abandon(parent)];
  const failing = await sweepAbandoned(parent, 'ours-', async (path) => {
    if (path === first) throw new Error('busy');
    await empty(path);
  });
  assert.deepEqual(failing.removed, [second]);
  assert.deepEqual(
    failing.failures.map(({ path }) => path),
    [first],
  );
  assert.equal(existsSync(join(first, 'lock')), true);
  assert.deepEqual((await sweep(parent)).removed, [first]);
});

test('one that was cut off before it was locked, or after it was emptied, goes too', async () => {
  const parent = makeParent();
  mkdirSync(join(parent, 'ours-ABCDEF'));
  assert.deepEqual(await sweep(parent), { removed: [join(parent, 'ours-ABCDEF')], failures: [] });
});

test('no directory is lost to a sweep that comes while it is made', async () => {
  const parent = makeParent();
  let isDone = false;
  const sweeping = (async () => {
    while (!isDone) await sweep(parent);
  })();
  const made: LockedDirectory[] = [];
  for (let count = 0; count < 20; count++) made.push(await makeLockedDirectory(parent, 'ours-'));
  isDone = true;
  await sweeping;
  assert.deepEqual(readdirSync(parent).sort(), made.map(({ path }) => path.slice(parent.length + 1)).sort());
  for (const directory of made) {
    assert.notEqual(spawnSync('flock', ['--nonblock', join(directory.path, 'lock'), 'true']).status, 0);
    await directory.remove();
  }
});
